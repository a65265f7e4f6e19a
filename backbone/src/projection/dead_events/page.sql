-- Reads dead events in the order of the log. $1: sequence of the first. $2: most rows.
SELECT sequence, subject, reason, headers, body, repaired, discarded
  FROM dead_event WHERE sequence >= $1 ORDER BY sequence LIMIT $2;
