-- Forgets deliveries of a replay. $1: replay; $2: deliveries.
DELETE FROM webhook_replay_delivery WHERE replay_id = $1 AND delivery_id = ANY ($2);
