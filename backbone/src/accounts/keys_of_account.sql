-- Reads the newest keys of an account, newest first. $1: account.
SELECT id, account_id, label, created_at, last_used_at, expires_at, revoked_at
  FROM api_key WHERE account_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000;
