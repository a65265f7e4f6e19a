-- Revisions of those of these deals that have a row. $1: ids.
SELECT id, revision FROM deal WHERE id = ANY($1);
