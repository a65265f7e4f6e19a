-- Writes the new state of deliveries and ends their leases. $1 to $5: deliveries, with state, tries, attempts and time
-- of the next attempt; $6: now.
UPDATE webhook_delivery d
   SET state = s.state, tries = s.tries, attempts = s.attempts, due_at = s.due_at, lease = NULL,
       leased_until = NULL, finished_at = CASE WHEN s.state <> 'PENDING' THEN $6 END
  FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::timestamptz[])
       AS s (id, state, tries, attempts, due_at)
 WHERE d.id = s.id;
