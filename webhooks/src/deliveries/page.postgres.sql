-- Reads a page of a buyer's deliveries with all attempts, newest first. $1: buyer; $2: endpoint or null; $3: id before
-- which the page starts; $4: states; $5: largest number of deliveries; $6: id after which the deliveries are; $7, $8:
-- first and last time of their creation; $9: deal or null; $10: events or null; $11: whether the last call must
-- have failed. Reads the newest of each endpoint and state by the index, so that a state with few deliveries costs no
-- scan of the others; one statement, so one snapshot.
SELECT d.id, d.webhook_id, d.state, d.sequence, d.change_index, d.due_at, d.created_at, m.event, m.epoch,
       w.state AS webhook_state, w.held_until, a.number, a.started_at, a.duration_ms, a.status_code, a.error,
       a.response_body, CASE WHEN row_number() OVER (PARTITION BY d.id ORDER BY a.number) = 1 THEN m.body END AS body
  FROM (SELECT newest.id, newest.webhook_id, newest.message_id, newest.state, newest.sequence, newest.change_index,
               newest.due_at, newest.created_at
          FROM webhook w
         CROSS JOIN unnest($4::text[]) AS wanted (state)
         CROSS JOIN LATERAL (
            SELECT d.id, d.webhook_id, d.message_id, d.state, d.sequence, d.change_index, d.due_at, d.created_at
              FROM webhook_delivery d
             WHERE d.webhook_id = w.id AND d.state = wanted.state AND d.id < $3
               AND d.id > $6 AND d.created_at >= $7 AND d.created_at <= $8 AND (d.deal_id = $9 OR $9 IS NULL)
               AND ($10::text[] IS NULL
                    OR (SELECT m.event FROM webhook_message m WHERE m.id = d.message_id) = ANY ($10))
               AND (NOT $11 OR EXISTS (
                   SELECT 1 FROM webhook_attempt a
                    WHERE a.delivery_id = d.id AND a.number = d.attempts AND a.error IS NOT NULL))
             ORDER BY d.id DESC LIMIT $5) AS newest
         WHERE w.buyer_id = $1 AND (w.id = $2 OR ($2 IS NULL AND w.deleted_at IS NULL))
         ORDER BY newest.id DESC LIMIT $5) AS d
  JOIN webhook_message m ON m.id = d.message_id
  JOIN webhook w ON w.id = d.webhook_id
  LEFT JOIN webhook_attempt a ON a.delivery_id = d.id
 ORDER BY d.id DESC, a.number;
