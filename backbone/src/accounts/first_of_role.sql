-- Reads the oldest account of a role, an enabled one if there is any. $1: role.
SELECT id, role, name, created_at, disabled_at
  FROM account WHERE role = $1 ORDER BY disabled_at IS NOT NULL, created_at, id LIMIT 1;
