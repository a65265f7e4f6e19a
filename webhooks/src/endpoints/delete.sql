-- Marks an endpoint as deleted. $1: buyer; $2: endpoint; $3: now; $4: reason for disabling.
UPDATE webhook SET deleted_at = $3, state = 'DISABLED', disabled_reason = $4
 WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL;
