-- Inserts dead events as they are. $1: JSON array of objects with a field for each column.
INSERT INTO dead_event (sequence, subject, reason, headers, body, repaired, discarded)
SELECT value ->> 'sequence', value ->> 'subject', value ->> 'reason', value -> 'headers', unhex(value ->> 'body'),
       value ->> 'repaired', value ->> 'discarded'
  FROM json_each($1);
