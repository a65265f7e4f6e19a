-- Reads and locks the deliveries whose leases still hold, with their endpoints. $1, $2: deliveries and their leases.
SELECT d.id, d.webhook_id, d.deal_id, d.replay, d.tries, d.attempts, w.failures, w.failing_since, w.held_until
  FROM unnest($1::uuid[], $2::uuid[]) AS leased (id, lease)
  JOIN webhook_delivery d ON d.id = leased.id AND d.lease = leased.lease
  JOIN webhook w ON w.id = d.webhook_id
   FOR UPDATE OF d, w;
