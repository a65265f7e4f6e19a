-- Moves the fan-out, if it still is where its mover read it. $1, $2: sequence and index of the last change; $3: last
-- endpoint of it, or null for all; $4: epoch; $5, $6, $7: where it was.
UPDATE webhook_fanout
   SET sequence = $1, change_index = $2, webhook_id = $3
 WHERE epoch = $4 AND sequence = $5 AND change_index = $6 AND webhook_id IS NOT DISTINCT FROM $7;
