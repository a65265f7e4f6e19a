-- Those of these accounts that are enabled. $1: ids.
SELECT id FROM account WHERE id = ANY($1) AND disabled_at IS NULL;
