-- Reads the last of the oldest changes, with its time; no row when there are fewer. $1: number of changes, less one.
SELECT sequence, occurred_at
  FROM feed
 WHERE sequence > (SELECT sequence FROM feed_horizon)
 ORDER BY sequence, change_index
 LIMIT 1 OFFSET $1;
