-- Lowers the number of deliveries that use each message. $1: JSON array with one message in hex for each deleted
-- delivery.
UPDATE webhook_message AS m SET deliveries = m.deliveries - gone.count
  FROM (SELECT unhex(value) AS id, count(*) AS count FROM json_each($1) GROUP BY 1) AS gone
 WHERE m.id = gone.id;
