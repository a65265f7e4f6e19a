-- Drops some of the calls that are old, oldest first. $1: time up to which calls are old.
DELETE FROM kept_call
 WHERE (caller_id, mutation, idempotency_key) IN (
     SELECT caller_id, mutation, idempotency_key FROM kept_call
      WHERE created_at <= $1 ORDER BY created_at LIMIT 1000);
