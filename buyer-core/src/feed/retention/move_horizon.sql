-- Moves the horizon forward, never back. $1: new horizon.
UPDATE feed_horizon
   SET sequence = $1
 WHERE sequence < $1;
