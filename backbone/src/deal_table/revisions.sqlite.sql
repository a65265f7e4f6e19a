-- Revisions of those of these deals that have a row. $1: JSON array of ids in hexadecimal.
SELECT id, revision FROM deal WHERE id IN (SELECT unhex(value) FROM json_each($1));
