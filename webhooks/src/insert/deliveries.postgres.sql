-- Inserts deliveries that are not there yet and whose endpoints are not deleted, and returns endpoint and message of
-- each. $1: ids; $2: endpoints; $3: messages; $4: deals or null; $5: sequences; $6: indexes; $7: epoch; $8: now.
-- An epoch of 0 is that of a version that did not keep it.
-- The first of a deal and endpoint is due now, unless one of the deal is pending: deliveries of a deal go out in order.
-- Each look-up is a subquery of its own, which PostgreSQL cannot turn into a join that reads a whole table.
WITH owed AS (
    SELECT o.id, o.webhook_id, o.message_id, o.deal_id, o.sequence, o.change_index,
           row_number() OVER (PARTITION BY o.webhook_id, o.deal_id ORDER BY o.sequence, o.change_index) AS place
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::int[])
           AS o (id, webhook_id, message_id, deal_id, sequence, change_index)
     WHERE (SELECT 1 FROM webhook w WHERE w.id = o.webhook_id AND w.deleted_at IS NULL) IS NOT NULL
       AND (SELECT 1 FROM webhook_delivery d
             WHERE d.webhook_id = o.webhook_id AND d.epoch IN ($7, 0) AND d.sequence = o.sequence
               AND d.change_index = o.change_index AND d.change_index < 65535
             LIMIT 1) IS NULL
)
INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, epoch, sequence, change_index, due_at, created_at)
SELECT owed.id, owed.webhook_id, owed.message_id, owed.deal_id, $7, owed.sequence, owed.change_index,
       CASE WHEN owed.deal_id IS NULL OR owed.place = 1 AND (
           SELECT 1 FROM webhook_delivery ahead
            WHERE ahead.webhook_id = owed.webhook_id AND ahead.deal_id = owed.deal_id
              AND ahead.state = 'PENDING' AND NOT ahead.replay
            LIMIT 1) IS NULL THEN $8 END,
       $8
  FROM owed
    ON CONFLICT DO NOTHING
RETURNING webhook_id, message_id;
