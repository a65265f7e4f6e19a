-- Reads an account. $1: id.
SELECT id, role, name, created_at, disabled_at FROM account WHERE id = $1;
