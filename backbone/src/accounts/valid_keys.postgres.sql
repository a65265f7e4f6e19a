-- Those of these keys that exist and are not revoked. $1: SHA-256 of the keys.
SELECT hash FROM api_key WHERE hash = ANY($1) AND revoked_at IS NULL;
