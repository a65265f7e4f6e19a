-- Writes the health of endpoints that are not deleted. $1 to $5: endpoints, with failures in a row, time of the first
-- of them, end of the hold, and reason for disabling.
UPDATE webhook w
   SET failures = e.failures, failing_since = e.failing_since, held_until = e.held_until,
       state = CASE WHEN e.reason IS NULL THEN w.state ELSE 'DISABLED' END,
       disabled_reason = coalesce(e.reason, w.disabled_reason)
  FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[], $5::text[])
       AS e (id, failures, failing_since, held_until, reason)
 WHERE w.id = e.id AND w.deleted_at IS NULL;
