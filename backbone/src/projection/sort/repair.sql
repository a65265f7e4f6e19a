-- Marks the dead events of a subject before a repair as repaired. $1: subject. $2: sequence of the repair.
UPDATE dead_event SET repaired = TRUE WHERE subject = $1 AND sequence < $2;
