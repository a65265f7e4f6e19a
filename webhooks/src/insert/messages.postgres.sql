-- Writes messages. $1: ids; $2: events; $3: bodies; $4: numbers of deliveries; $5: epoch.
INSERT INTO webhook_message (id, event, epoch, body, deliveries)
SELECT id, event, $5, body, deliveries
  FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::int[]) AS message (id, event, body, deliveries);
