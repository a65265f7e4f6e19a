-- Reads the blocks that the projection writes to no more, oldest first.
SELECT first, last
  FROM feed_block
 WHERE last <= (SELECT position FROM projection WHERE name = 'buyer')
 ORDER BY first;
