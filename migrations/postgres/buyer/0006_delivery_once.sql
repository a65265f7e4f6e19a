-- no-transaction
-- One delivery for each endpoint and change. Test deliveries carry the end of an event, 65535, and there may be many.
CREATE UNIQUE INDEX CONCURRENTLY webhook_delivery_once ON webhook_delivery (webhook_id, epoch, sequence, change_index)
    WHERE change_index < 65535;
