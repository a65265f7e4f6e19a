-- Claims due deliveries, the oldest of each endpoint first. $1: now; $2, $3, $4: endpoints, with the number of their
-- calls under way here and the largest number of deliveries to claim; $5: failures in a row that open the breaker; $6:
-- end of the hold for an endpoint that is probed; $7: concurrency of a healthy endpoint; $8: lease; $9: end of the
-- lease.
--
-- An endpoint whose breaker is half open is probed with its oldest delivery, by one dispatcher: SKIP LOCKED keeps a
-- second dispatcher from waiting for the row, and whoever comes later sees the endpoint held. Each due delivery is
-- found by the index in the order of due_at, so one row read is one row claimed.
WITH wanted AS (
    SELECT id, busy, room FROM unnest($2::uuid[], $3::int[], $4::int[]) AS wanted (id, busy, room)
), probing AS (
    SELECT w.id FROM webhook w JOIN wanted ON wanted.id = w.id
     WHERE w.failures >= $5 AND wanted.busy = 0
       AND w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $1)
       AND (SELECT 1 FROM webhook_delivery d
             WHERE d.webhook_id = w.id AND d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1)
             ORDER BY d.due_at LIMIT 1) IS NOT NULL
       FOR UPDATE OF w SKIP LOCKED
), held AS (
    UPDATE webhook w SET held_until = $6 FROM probing WHERE w.id = probing.id
), open AS (
    SELECT w.id, least(wanted.room, greatest($7 >> w.failures, 1) - wanted.busy) AS room
      FROM webhook w JOIN wanted ON wanted.id = w.id
     WHERE w.failures < $5
       AND w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $1)
     UNION ALL
    SELECT id, 1 FROM probing
), due AS (
    SELECT d.id FROM open CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_delivery d
         WHERE d.webhook_id = open.id AND d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1)
         ORDER BY d.due_at LIMIT greatest(open.room, 0) FOR UPDATE SKIP LOCKED) AS d
), claimed AS (
    UPDATE webhook_delivery SET lease = $8, leased_until = $9 WHERE id = ANY (ARRAY(SELECT id FROM due))
    RETURNING id, webhook_id, message_id, replay, attempts, created_at
)
SELECT c.id, c.webhook_id, c.replay, c.attempts, c.created_at, open.room, m.body, w.url, w.secret,
       CASE WHEN w.previous_secret_until > $1 THEN w.previous_secret END AS previous_secret
  FROM claimed c
  JOIN open ON open.id = c.webhook_id
  JOIN webhook_message m ON m.id = c.message_id
  JOIN webhook w ON w.id = c.webhook_id
 ORDER BY c.id;
