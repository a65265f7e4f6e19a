-- Those of these accounts that are enabled. $1: JSON array of ids in hexadecimal.
SELECT id FROM account WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND disabled_at IS NULL;
