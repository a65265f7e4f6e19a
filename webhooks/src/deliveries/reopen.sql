-- Reopens a finished delivery as a replay that is due at once. $1: delivery; $2: now.
UPDATE webhook_delivery SET state = 'PENDING', tries = 0, replay = TRUE, due_at = $2, finished_at = NULL
 WHERE id = $1;
