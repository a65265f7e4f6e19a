-- Reads the deliveries whose leases still hold, with their endpoints. $1: JSON array of [delivery in hex, lease in
-- hex].
SELECT d.id, d.webhook_id, d.deal_id, d.replay, d.tries, d.attempts, w.failures, w.failing_since, w.held_until
  FROM json_each($1) AS leased
  JOIN webhook_delivery d ON d.id = unhex(leased.value ->> 0) AND d.lease = unhex(leased.value ->> 1)
  JOIN webhook w ON w.id = d.webhook_id;
