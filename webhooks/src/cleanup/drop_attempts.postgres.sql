-- Deletes the attempts of deleted deliveries. $1: deliveries.
DELETE FROM webhook_attempt WHERE delivery_id = ANY ($1);
