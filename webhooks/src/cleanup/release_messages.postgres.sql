-- Lowers the number of deliveries that use each message. $1: one message for each deleted delivery.
UPDATE webhook_message m SET deliveries = m.deliveries - gone.count
  FROM (SELECT id, count(*)::int AS count FROM unnest($1::uuid[]) AS dropped (id) GROUP BY id) AS gone
 WHERE m.id = gone.id;
