-- Forgets deliveries of a replay. $1: replay; $2: JSON array of deliveries in hex.
DELETE FROM webhook_replay_delivery
 WHERE replay_id = $1 AND delivery_id IN (SELECT unhex(value) FROM json_each($2));
