-- Reads changes in their order. $1: sequence and $2: index of the first. $3: most rows.
-- The comparison of sequences alone repeats part of the next one, from which PostgreSQL would prune no partitions.
SELECT sequence, CAST(change_index AS bigint), seller_id, body
  FROM feed
 WHERE sequence >= $1 AND (sequence, change_index) >= ($1, $2)
 ORDER BY sequence, change_index
 LIMIT $3;
