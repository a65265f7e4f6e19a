-- Writes the new state of deliveries and ends their leases. $1: JSON array of [delivery in hex, state, tries, attempts,
-- time of the next attempt]; $2: now.
UPDATE webhook_delivery AS d
   SET state = s.value ->> 1, tries = s.value ->> 2, attempts = s.value ->> 3, due_at = s.value ->> 4,
       lease = NULL, leased_until = NULL, finished_at = CASE WHEN s.value ->> 1 <> 'PENDING' THEN $2 END
  FROM json_each($1) AS s
 WHERE d.id = unhex(s.value ->> 0);
