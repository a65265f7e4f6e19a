-- Marks the dead events of a subject before a decision as given up. $1: subject. $2: sequence of the decision.
UPDATE dead_event SET repaired = TRUE, discarded = TRUE WHERE subject = $1 AND sequence < $2 AND NOT repaired;
