-- Writes deliveries. $1: JSON array of [id, endpoint, message, deal or null, sequence, index, whether it is the first of
-- its deal and endpoint in the batch]; $2: now.
-- The first is due now unless an earlier batch left a pending one of the deal: deliveries of a deal go out in order.
INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, sequence, change_index, due_at, created_at)
SELECT o.id, o.webhook_id, o.message_id, o.deal_id, o.sequence, o.change_index,
       CASE WHEN o.first AND (
           SELECT 1 FROM webhook_delivery ahead
            WHERE ahead.webhook_id = o.webhook_id AND ahead.deal_id = o.deal_id
              AND ahead.state = 'PENDING' AND NOT ahead.replay
            LIMIT 1) IS NULL THEN $2 END,
       $2
  FROM (SELECT unhex(value ->> 0) AS id, unhex(value ->> 1) AS webhook_id, unhex(value ->> 2) AS message_id,
               unhex(value ->> 3) AS deal_id, value ->> 4 AS sequence, value ->> 5 AS change_index,
               value ->> 6 AS first
          FROM json_each($1)) AS o;
