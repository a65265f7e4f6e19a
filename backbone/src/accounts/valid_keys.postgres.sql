-- Those of these keys that are valid: not revoked, not over, and of an account that is enabled.
-- $1: SHA-256 of the keys. $2: time.
SELECT k.hash
  FROM api_key k JOIN account a ON a.id = k.account_id
 WHERE k.hash = ANY($1) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
   AND a.disabled_at IS NULL;
