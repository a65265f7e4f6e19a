-- Reads the horizon: the sequence up to which the feed no longer keeps changes.
SELECT sequence
  FROM feed_horizon;
