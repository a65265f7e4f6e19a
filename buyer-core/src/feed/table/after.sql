-- Reads a range of changes with the checkpoint and the horizon, from one snapshot.
-- $1: sequence and $2: index before the first; $3: last sequence; $4: most rows.
-- The comparison of sequences alone repeats part of the next one, from which PostgreSQL would prune no partitions.
SELECT p.epoch, p.position, p.event_id, p.generation, h.sequence AS horizon,
       f.sequence, f.change_index, f.seller_id, f.body, f.occurred_at, f.trace
  FROM projection p
 CROSS JOIN feed_horizon h
  LEFT JOIN (
       SELECT sequence, change_index, seller_id, body, occurred_at, trace
         FROM feed
        WHERE sequence >= $1 AND (sequence, change_index) > ($1, $2) AND sequence <= $3
        ORDER BY sequence, change_index
        LIMIT $4) f ON TRUE
 WHERE p.name = 'buyer'
 ORDER BY f.sequence, f.change_index;
