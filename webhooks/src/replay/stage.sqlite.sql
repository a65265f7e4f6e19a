-- Writes the stage of deliveries of a replay. $1: replay; $2: JSON array of deliveries in hex; $3: stage.
UPDATE webhook_replay_delivery SET stage = $3
 WHERE replay_id = $1 AND delivery_id IN (SELECT unhex(value) FROM json_each($2));
