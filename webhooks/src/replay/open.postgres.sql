-- Opens deliveries again that are still in the state that their replay selects. $1: deliveries; $2: state; $3: now.
UPDATE webhook_delivery SET state = 'PENDING', tries = 0, replay = TRUE, due_at = $3, finished_at = NULL
 WHERE id = ANY ($1) AND state = $2
RETURNING id;
