-- Deletes deals. $1: JSON array of {id}.
DELETE FROM deal WHERE id IN (SELECT unhex(value ->> 'id') FROM json_each($1));
