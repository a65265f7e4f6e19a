-- Reads whether a partition's detachment was begun and not ended; no row when it is not attached. $1: name of its table.
SELECT inhdetachpending
  FROM pg_inherits
 WHERE inhparent = 'feed'::regclass AND inhrelid = to_regclass($1);
