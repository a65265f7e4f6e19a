-- Moves the horizon back to a sequence if it lies beyond. $1: the sequence.
UPDATE feed_horizon SET sequence = $1 WHERE sequence > $1;
