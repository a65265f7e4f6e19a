-- Finds the requested endpoints that may be called, each with its limit. $1: now; $2: JSON array of [endpoint in hex,
-- calls under way here, largest number of deliveries to claim]; $3: failures in a row that open the breaker; $4:
-- concurrency of a healthy endpoint.
SELECT w.id, w.failures >= $3 AS probing,
       min(wanted.value ->> 2, CASE WHEN w.failures >= $3 THEN 1 ELSE max($4 >> w.failures, 1) END
                               - (wanted.value ->> 1)) AS room
  FROM json_each($2) AS wanted JOIN webhook w ON w.id = unhex(wanted.value ->> 0)
 WHERE w.state = 'ACTIVE' AND (w.held_until IS NULL OR w.held_until <= $1);
