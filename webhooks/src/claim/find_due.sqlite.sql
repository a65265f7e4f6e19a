-- Finds every endpoint that may be called and has an unclaimed delivery due. $1: now.
SELECT w.id
  FROM webhook w
 WHERE w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $1)
   AND EXISTS (
    SELECT 1 FROM webhook_delivery d
     WHERE d.webhook_id = w.id AND d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1)
     ORDER BY d.due_at LIMIT 1);
