-- Accounts that an administrator has disabled, and keys that have an end. Binaries of before these columns look at
-- neither, so both hold everywhere once the last of those has stopped.
ALTER TABLE account ADD COLUMN disabled_at INTEGER;
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;
-- To the minute, since it is written at most once a minute.
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
CREATE INDEX api_key_by_account ON api_key (account_id, created_at, id);
