-- Reads whether an example market is complete; no row when it was never begun. $1: name of the example.
SELECT done
  FROM seeding
 WHERE name = $1;
