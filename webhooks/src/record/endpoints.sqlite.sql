-- Writes the health of endpoints that are not deleted. $1: JSON array of [endpoint in hex, failures in a row, time of
-- the first of them, end of the hold, reason for disabling].
UPDATE webhook AS w
   SET failures = e.value ->> 1, failing_since = e.value ->> 2, held_until = e.value ->> 3,
       state = CASE WHEN e.value ->> 4 IS NULL THEN w.state ELSE 'DISABLED' END,
       disabled_reason = coalesce(e.value ->> 4, w.disabled_reason)
  FROM json_each($1) AS e
 WHERE w.id = unhex(e.value ->> 0) AND w.deleted_at IS NULL;
