-- Counts the deliveries that a replay selects. $1: endpoint; $2: state; $3, $4: first and last time of their creation;
-- $5: latest end; $6: deal or null; $7: JSON array of events or null.
SELECT count(*)
  FROM webhook_delivery d
 WHERE d.webhook_id = $1 AND d.state = $2 AND d.created_at >= $3 AND d.created_at <= $4 AND d.finished_at <= $5
   AND d.change_index < 65535 AND (d.deal_id = $6 OR $6 IS NULL)
   AND ($7 IS NULL OR (SELECT m.event FROM webhook_message m WHERE m.id = d.message_id) IN
                      (SELECT value FROM json_each($7)));
