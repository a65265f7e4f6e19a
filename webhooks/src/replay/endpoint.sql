-- Tells whether an endpoint may be called, and whether one of its live deliveries is due. $1: endpoint; $2: now.
SELECT w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $2) AS callable,
       EXISTS (SELECT 1 FROM webhook_delivery d
                WHERE d.webhook_id = w.id AND d.due_at <= $2 AND NOT d.replay
                  AND (d.leased_until IS NULL OR d.leased_until <= $2)) AS live_due
  FROM webhook w
 WHERE w.id = $1 AND w.deleted_at IS NULL;
