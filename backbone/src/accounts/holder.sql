-- Reads the account of a key that is not revoked. $1: SHA-256 of the key.
SELECT k.id AS key_id, a.id AS account_id, a.role, a.name
  FROM api_key k JOIN account a ON a.id = k.account_id
 WHERE k.hash = $1 AND k.revoked_at IS NULL;
