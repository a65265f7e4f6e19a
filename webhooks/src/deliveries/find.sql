-- Reads one of a buyer's deliveries with all attempts, oldest attempt first. $1: buyer; $2: delivery.
SELECT d.id, d.webhook_id, d.state, d.sequence, d.change_index, d.due_at, d.created_at, m.event, m.epoch,
       w.state AS webhook_state, w.held_until, a.number, a.started_at, a.duration_ms, a.status_code, a.error,
       a.response_body, CASE WHEN row_number() OVER (PARTITION BY d.id ORDER BY a.number) = 1 THEN m.body END AS body
  FROM webhook_delivery d
  JOIN webhook w ON w.id = d.webhook_id
  JOIN webhook_message m ON m.id = d.message_id
  LEFT JOIN webhook_attempt a ON a.delivery_id = d.id
 WHERE d.id = $2 AND w.buyer_id = $1
 ORDER BY d.id DESC, a.number;
