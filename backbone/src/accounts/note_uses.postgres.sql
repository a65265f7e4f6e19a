-- Notes when keys were used, at most once a minute for each. Keys that another process writes now are left to it.
-- $1: ids. $2: times, in the same order.
WITH due AS (
    SELECT k.id, used.at
      FROM api_key k JOIN UNNEST($1, $2) AS used (id, at) ON used.id = k.id
     WHERE k.last_used_at IS NULL OR k.last_used_at <= used.at - INTERVAL '1 minute'
       FOR UPDATE OF k SKIP LOCKED
)
UPDATE api_key SET last_used_at = due.at FROM due WHERE api_key.id = due.id;
