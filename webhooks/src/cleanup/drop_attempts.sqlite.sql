-- Deletes the attempts of deleted deliveries. $1: JSON array of deliveries in hex.
DELETE FROM webhook_attempt WHERE delivery_id IN (SELECT unhex(value) FROM json_each($1));
