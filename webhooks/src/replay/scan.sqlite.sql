-- Looks through an endpoint's deliveries in the order of their changes, and tells which of them a replay selects. $1:
-- endpoint; $2: state; $3, $4: first and last time of their creation; $5: latest end; $6: deal or null; $7: events or
-- null; $8, $9, $10: place after which to continue; $11: largest number of rows.
SELECT d.id AS delivery_id, d.deal_id, d.epoch, d.sequence, d.change_index, d.finished_at,
       coalesce(d.state = $2 AND d.created_at >= $3 AND d.created_at <= $4 AND d.finished_at <= $5
                AND (d.deal_id = $6 OR $6 IS NULL)
                AND ($7 IS NULL OR (SELECT m.event FROM webhook_message m WHERE m.id = d.message_id) IN
                  (SELECT value FROM json_each($7))), FALSE) AS selected
  FROM webhook_delivery d
 WHERE d.webhook_id = $1 AND d.change_index < 65535 AND (d.epoch, d.sequence, d.change_index) > ($8, $9, $10)
 ORDER BY d.epoch, d.sequence, d.change_index LIMIT $11;
