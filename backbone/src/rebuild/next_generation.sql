-- Begins the next generation of a projection's tables, and locks its checkpoint.
-- $1: name. $2 and $3: epoch and generation that were compared.
UPDATE projection SET generation = generation + 1
 WHERE name = $1 AND epoch = $2 AND generation = $3
RETURNING epoch, position, event_id, generation;
