-- Puts deliveries of a replay that were opened and not called back to where they were. $1: replay; $2: deliveries; $3:
-- state.
UPDATE webhook_delivery d
   SET state = $3, due_at = NULL, lease = NULL, leased_until = NULL, finished_at = r.finished_at
  FROM webhook_replay_delivery r
 WHERE r.replay_id = $1 AND r.delivery_id = ANY ($2) AND d.id = r.delivery_id;
