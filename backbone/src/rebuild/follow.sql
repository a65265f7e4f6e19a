-- Makes a projection's tables those of another epoch of the log. $1: name. $2: epoch. $3: position. $4: id of the event
-- there, or NULL.
UPDATE projection SET epoch = $2, position = $3, event_id = $4 WHERE name = $1;
