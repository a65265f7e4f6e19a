-- Reads a projection's checkpoint. $1: name.
SELECT epoch, position, event_id, generation FROM projection WHERE name = $1;
