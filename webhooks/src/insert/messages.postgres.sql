-- Writes messages. $1: ids; $2: events; $3: traces or null; $4: bodies; $5: numbers of deliveries; $6: epoch.
INSERT INTO webhook_message (id, event, epoch, trace, body, deliveries)
SELECT id, event, $6, trace, body, deliveries
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::int[])
       AS message (id, event, trace, body, deliveries);
