-- Makes the next delivery of each lane due and returns its endpoint. $1, $2: endpoints and deals of the lanes; $3: now.
UPDATE webhook_delivery SET due_at = $3
 WHERE due_at IS NULL AND id = ANY (ARRAY(
    SELECT next.id FROM unnest($1::uuid[], $2::uuid[]) AS done (webhook_id, deal_id)
     CROSS JOIN LATERAL (
        SELECT d.id FROM webhook_delivery d
         WHERE d.webhook_id = done.webhook_id AND d.deal_id = done.deal_id
           AND d.state = 'PENDING' AND NOT d.replay
         ORDER BY d.sequence, d.change_index LIMIT 1) AS next))
RETURNING webhook_id;
