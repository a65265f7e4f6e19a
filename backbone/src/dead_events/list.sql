-- Dead events after a sequence, in order. $1: sequence. $2: largest number.
SELECT sequence, subject, reason, repaired FROM dead_event WHERE sequence > $1 ORDER BY sequence LIMIT $2;
