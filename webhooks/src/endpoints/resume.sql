-- Makes a paused or disabled endpoint active and forgets its failures. $1: endpoint.
UPDATE webhook
   SET state = 'ACTIVE', disabled_reason = NULL, failures = 0, failing_since = NULL, held_until = NULL
 WHERE id = $1;
