-- Dead events after a sequence, in order. $1: sequence. $2: largest number. $3: whether settled ones count.
SELECT sequence, subject, reason, repaired
  FROM dead_event
 WHERE sequence > $1 AND (NOT repaired OR $3)
 ORDER BY sequence
 LIMIT $2;
