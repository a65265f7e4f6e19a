-- Revokes a key and returns the time of its first revocation. $1: id. $2: time.
UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING revoked_at;
