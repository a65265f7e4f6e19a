-- Keeps the settings of an endpoint for the changes that they held for. $1: buyer; $2: endpoint; $3: last sequence that
-- they hold for.
INSERT INTO webhook_past_settings (webhook_id, from_position, to_position, events, seller_ids, only_when_changed)
SELECT id, from_position, $3, events, seller_ids, only_when_changed
  FROM webhook
 WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL AND from_position < $3;
