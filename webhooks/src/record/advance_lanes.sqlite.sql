-- Makes the next delivery of each lane due and returns its endpoint. $1: JSON array of [endpoint in hex, deal in hex];
-- $2: now.
UPDATE webhook_delivery SET due_at = $2
 WHERE due_at IS NULL AND id IN (
    SELECT (SELECT d.id FROM webhook_delivery d
             WHERE d.webhook_id = unhex(done.value ->> 0) AND d.deal_id = unhex(done.value ->> 1)
               AND d.state = 'PENDING' AND NOT d.replay
             ORDER BY d.sequence, d.change_index LIMIT 1)
      FROM json_each($1) AS done)
RETURNING webhook_id;
