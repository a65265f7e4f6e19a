-- Replays of webhook deliveries are jobs.

-- One replay: the finished deliveries of an endpoint that it selects are opened again, a few at a time.
CREATE TABLE webhook_replay (
    id              BLOB        PRIMARY KEY,
    buyer_id        BLOB        NOT NULL,
    webhook_id      BLOB        NOT NULL,
    state           TEXT        NOT NULL CHECK (state IN ('RUNNING', 'DONE', 'CANCELLED')),
    -- which deliveries: those that were in delivery_state when the replay was requested
    delivery_state  TEXT        NOT NULL CHECK (delivery_state IN ('DELIVERED', 'DEAD')),
    since           INTEGER NOT NULL,
    until           INTEGER NOT NULL,
    -- null: of every event
    events          TEXT,
    -- null: of every deal
    deal_id         BLOB,
    rate_per_second INTEGER         NOT NULL,
    matched         INTEGER      NOT NULL,
    sent            INTEGER      NOT NULL DEFAULT 0,
    -- the place up to which the endpoint's deliveries have been looked through
    at_epoch        INTEGER      NOT NULL DEFAULT -1,
    at_sequence     INTEGER      NOT NULL DEFAULT -1,
    at_index        INTEGER         NOT NULL DEFAULT -1,
    exhausted       INTEGER     NOT NULL DEFAULT FALSE,
    next_step_at    INTEGER NOT NULL,
    idempotency_key TEXT,
    -- what was requested, to tell a repetition from another request with the same key
    request         TEXT        NOT NULL,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    CHECK ((state = 'RUNNING') = (finished_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX webhook_replay_running ON webhook_replay (webhook_id) WHERE state = 'RUNNING';
CREATE UNIQUE INDEX webhook_replay_key ON webhook_replay (buyer_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX webhook_replay_due ON webhook_replay (next_step_at) WHERE state = 'RUNNING';
CREATE INDEX webhook_replay_by_webhook ON webhook_replay (webhook_id, id);

-- Deliveries that a running replay has selected and not finished with, at most a thousand of each.
CREATE TABLE webhook_replay_delivery (
    replay_id    BLOB   NOT NULL,
    delivery_id  BLOB   NOT NULL,
    deal_id      BLOB,
    epoch        INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    change_index INTEGER    NOT NULL,
    -- WAITING: still finished; OPENED: pending and not called yet; SENT: called, and waiting for its next try
    stage        TEXT   NOT NULL CHECK (stage IN ('WAITING', 'OPENED', 'SENT')),
    -- of the delivery before it was opened
    finished_at  INTEGER NOT NULL,
    PRIMARY KEY (replay_id, delivery_id)
) STRICT;
