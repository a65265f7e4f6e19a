-- Discards pending deliveries of a deleted endpoint. $1: endpoint; $2: now; $3: largest number of rows.
UPDATE webhook_delivery
   SET state = 'DISCARDED', due_at = NULL, lease = NULL, leased_until = NULL, finished_at = $2
 WHERE id IN (
    SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = $1 AND d.state = 'PENDING' ORDER BY d.id LIMIT $3);
