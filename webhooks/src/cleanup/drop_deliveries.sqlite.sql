-- Deletes expired deliveries. $1: JSON array of deliveries in hex; $2: end of the period to drop (exclusive).
DELETE FROM webhook_delivery WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND finished_at < $2
RETURNING id, webhook_id, message_id, state;
