-- Disables an account and returns it; one that is disabled keeps its time. $1: id. $2: time.
UPDATE account SET disabled_at = coalesce(disabled_at, $2) WHERE id = $1
RETURNING id, role, name, created_at, disabled_at;
