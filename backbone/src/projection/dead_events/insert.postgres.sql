-- Inserts dead events as they are. $1: JSON array of objects with a field for each column.
INSERT INTO dead_event (sequence, subject, reason, headers, body, repaired, discarded)
SELECT sequence, subject, reason, headers, body, repaired, discarded
  FROM jsonb_populate_recordset(NULL::dead_event, $1);
