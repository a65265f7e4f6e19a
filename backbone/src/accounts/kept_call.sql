-- Reads a kept call. $1: caller. $2: mutation. $3: idempotency key. $4: time up to which calls are old.
SELECT request, result_id, sealed FROM kept_call
 WHERE caller_id = $1 AND mutation = $2 AND idempotency_key = $3 AND created_at > $4;
