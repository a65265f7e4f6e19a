-- Keeps a call and returns what it makes. A kept call stays as it is, which returns nothing, unless it is old.
-- $1: caller. $2: mutation. $3: idempotency key. $4: SHA-256 of the arguments. $5: what the call makes. $6: sealed key
-- or NULL. $7: time. $8: time up to which calls are old.
INSERT INTO kept_call (caller_id, mutation, idempotency_key, request, result_id, sealed, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (caller_id, mutation, idempotency_key) DO UPDATE
   SET request = excluded.request, result_id = excluded.result_id, sealed = excluded.sealed,
       created_at = excluded.created_at
 WHERE kept_call.created_at <= $8
RETURNING request, result_id, sealed;
