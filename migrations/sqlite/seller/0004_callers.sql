-- Accounts that an administrator has disabled, and keys that have an end. Binaries of before these columns look at
-- neither, so both hold everywhere once the last of those has stopped.
ALTER TABLE account ADD COLUMN disabled_at INTEGER;
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;
-- To the minute, since it is written at most once a minute.
ALTER TABLE api_key ADD COLUMN last_used_at INTEGER;
CREATE INDEX api_key_by_account ON api_key (account_id, created_at, id);

-- Calls of administrators with an idempotency key, of both sides of the market, for 24 hours. What a call makes is
-- decided with this row and made afterwards, so that a repeat makes the same.
CREATE TABLE kept_call (
    caller_id       BLOB    NOT NULL,
    mutation        TEXT    NOT NULL,
    idempotency_key TEXT    NOT NULL,
    -- SHA-256 of the arguments.
    request         BLOB    NOT NULL,
    -- Account or API key that the call makes.
    result_id       BLOB    NOT NULL,
    -- Random part of the API key, encrypted.
    sealed          BLOB,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (caller_id, mutation, idempotency_key)
) STRICT;
CREATE INDEX kept_call_by_time ON kept_call (created_at);
