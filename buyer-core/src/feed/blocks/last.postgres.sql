-- Reads the last sequence that the blocks of the feed hold; 0 when there is no block.
SELECT coalesce(max(last), 0)
  FROM feed_block;
