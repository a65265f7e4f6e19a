-- Extends leases that still hold. $1, $2: deliveries and their leases; $3: new end of the leases.
-- SKIP LOCKED passes over rows that another transaction is recording or claiming: their leases end either way.
UPDATE webhook_delivery SET leased_until = $3
 WHERE id = ANY (ARRAY(
    SELECT d.id FROM unnest($1::uuid[], $2::uuid[]) AS leased (id, lease)
      JOIN webhook_delivery d ON d.id = leased.id AND d.lease = leased.lease
       FOR UPDATE OF d SKIP LOCKED));
