-- Enables an account and returns it. $1: id.
UPDATE account SET disabled_at = NULL WHERE id = $1
RETURNING id, role, name, created_at, disabled_at;
