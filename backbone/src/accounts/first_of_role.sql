-- Reads the oldest account of a role. $1: role.
SELECT id, role, name, created_at FROM account WHERE role = $1 ORDER BY created_at, id LIMIT 1;
