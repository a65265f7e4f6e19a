-- Moves a checkpoint if it still is where its mover read it.
-- $1: new position. $2: id of the event there, or NULL. $3: name. $4 to $6: epoch, position and generation read.
UPDATE projection SET position = $1, event_id = $2
 WHERE name = $3 AND epoch = $4 AND position = $5 AND generation = $6;
