-- Leases the oldest due deliveries of one endpoint. $1: now; $2: endpoint; $3: lease; $4: end of the lease;
-- $5: largest number of deliveries to claim.
UPDATE webhook_delivery SET lease = $3, leased_until = $4
 WHERE id IN (
    SELECT d.id FROM webhook_delivery d
     WHERE d.webhook_id = $2 AND d.due_at <= $1 AND (d.leased_until IS NULL OR d.leased_until <= $1)
     ORDER BY d.due_at LIMIT $5)
RETURNING id;
