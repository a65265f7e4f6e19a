-- Reopens finished deliveries of one endpoint as replays that are due at once. $1: endpoint; $2: state; $3: id after
-- which to continue; $4: earliest creation; $5: now; $6: largest number of rows.
UPDATE webhook_delivery SET state = 'PENDING', tries = 0, replay = TRUE, due_at = $5, finished_at = NULL
 WHERE id IN (
    SELECT d.id FROM webhook_delivery d
     WHERE d.webhook_id = $1 AND d.state = $2 AND d.id > $3 AND d.created_at >= $4 ORDER BY d.id LIMIT $6)
RETURNING id;
