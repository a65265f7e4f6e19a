-- Marks an example market as complete. $1: name of the example.
UPDATE seeding
   SET done = TRUE
 WHERE name = $1;
