-- Deletes deals. $1: JSON array of {id}.
DELETE FROM deal WHERE id IN (SELECT id FROM jsonb_to_recordset($1) AS gone (id uuid));
