-- Writes messages. $1: JSON array of [id, event, body, number of deliveries]; $2: epoch.
INSERT INTO webhook_message (id, event, epoch, body, deliveries)
SELECT unhex(value ->> 0), value ->> 1, $2, CAST(value ->> 2 AS BLOB), value ->> 3
  FROM json_each($1);
