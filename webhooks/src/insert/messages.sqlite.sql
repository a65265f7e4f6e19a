-- Writes messages. $1: JSON array of [id, event, trace or null, body, number of deliveries]; $2: epoch.
INSERT INTO webhook_message (id, event, epoch, trace, body, deliveries)
SELECT unhex(value ->> 0), value ->> 1, $2, value ->> 2, CAST(value ->> 3 AS BLOB), value ->> 4
  FROM json_each($1);
