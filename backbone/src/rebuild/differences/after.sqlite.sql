-- Reads the next subjects of a table whose rows differ.
-- $1: name of the table. $2: subject before the first. $3: most rows.
SELECT subject FROM difference WHERE name = $1 AND subject > $2 ORDER BY subject LIMIT $3;
