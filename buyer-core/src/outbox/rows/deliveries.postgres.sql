-- Writes deliveries. $1: ids; $2: endpoints; $3: messages; $4: deals or null; $5: sequences; $6: indexes;
-- $7: whether each is the first of its deal and endpoint in the batch; $8: now.
-- The first is due now unless an earlier batch left a pending one of the deal: deliveries of a deal go out in order.
INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, sequence, change_index, due_at, created_at)
SELECT o.id, o.webhook_id, o.message_id, o.deal_id, o.sequence, o.change_index,
       CASE WHEN o.first AND (
           SELECT 1 FROM webhook_delivery ahead
            WHERE ahead.webhook_id = o.webhook_id AND ahead.deal_id = o.deal_id
              AND ahead.state = 'PENDING' AND NOT ahead.replay
            LIMIT 1) IS NULL THEN $8 END,
       $8
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::int[], $7::boolean[])
       AS o (id, webhook_id, message_id, deal_id, sequence, change_index, first);
