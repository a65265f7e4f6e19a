-- Reads the account of a valid key: not revoked, not over, and of an account that is enabled.
-- $1: SHA-256 of the key. $2: time.
SELECT k.id AS key_id, a.id AS account_id, a.role, a.name, k.expires_at
  FROM api_key k JOIN account a ON a.id = k.account_id
 WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
   AND a.disabled_at IS NULL;
