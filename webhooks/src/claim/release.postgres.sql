-- Gives up the lease on deliveries that were not called. $1: deliveries; $2: lease.
UPDATE webhook_delivery SET lease = NULL, leased_until = NULL
 WHERE id = ANY ($1) AND lease = $2;
