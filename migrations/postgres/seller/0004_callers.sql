-- Accounts that an administrator has disabled, and keys that have an end. Binaries of before these columns look at
-- neither, so both hold everywhere once the last of those has stopped.
ALTER TABLE account ADD COLUMN disabled_at timestamptz;
ALTER TABLE api_key ADD COLUMN expires_at timestamptz;
-- To the minute, since it is written at most once a minute.
ALTER TABLE api_key ADD COLUMN last_used_at timestamptz;

-- Calls of administrators with an idempotency key, of both sides of the market, for 24 hours. What a call makes is
-- decided with this row and made afterwards, so that a repeat makes the same.
CREATE TABLE kept_call (
    caller_id       uuid        NOT NULL,
    mutation        text        NOT NULL,
    idempotency_key text        NOT NULL,
    -- SHA-256 of the arguments.
    request         bytea       NOT NULL,
    -- Account or API key that the call makes.
    result_id       uuid        NOT NULL,
    -- Random part of the API key, encrypted.
    sealed          bytea,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (caller_id, mutation, idempotency_key)
);
CREATE INDEX kept_call_by_time ON kept_call (created_at);
