-- Adds to the counts of endpoints. $1: endpoints; $2: pending; $3: delivered; $4: dead; $5: discarded.
-- The rows are locked in the order of their ids first, which an UPDATE alone does not promise: writers would deadlock.
WITH locked AS (
    SELECT webhook_id
      FROM webhook_count
     WHERE webhook_id = ANY($1)
     ORDER BY webhook_id
       FOR UPDATE
)
UPDATE webhook_count c
   SET owed = c.owed + d.pending + d.delivered + d.dead + d.discarded,
       pending = c.pending + d.pending,
       delivered = c.delivered + d.delivered,
       dead = c.dead + d.dead,
       discarded = c.discarded + d.discarded
  FROM locked
  JOIN unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
       AS d (webhook_id, pending, delivered, dead, discarded) ON d.webhook_id = locked.webhook_id
 WHERE c.webhook_id = locked.webhook_id;
