-- Writes the stage of deliveries of a replay. $1: replay; $2: deliveries; $3: stage.
UPDATE webhook_replay_delivery SET stage = $3 WHERE replay_id = $1 AND delivery_id = ANY ($2);
