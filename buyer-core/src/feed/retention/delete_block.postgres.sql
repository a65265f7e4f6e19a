-- Deletes the record of a block whose partition is dropped. $1: first sequence of the block.
DELETE FROM feed_block
 WHERE first = $1;
