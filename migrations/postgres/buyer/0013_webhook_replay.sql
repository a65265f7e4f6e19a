-- Replays of webhook deliveries are jobs. Processes of the version before ignore these tables.

-- One replay: the finished deliveries of an endpoint that it selects are opened again, a few at a time.
CREATE TABLE webhook_replay (
    id              uuid        PRIMARY KEY,
    buyer_id        uuid        NOT NULL,
    webhook_id      uuid        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('RUNNING', 'DONE', 'CANCELLED')),
    -- which deliveries: those that were in delivery_state when the replay was requested
    delivery_state  text        NOT NULL CHECK (delivery_state IN ('DELIVERED', 'DEAD')),
    since           timestamptz NOT NULL,
    until           timestamptz NOT NULL,
    -- null: of every event
    events          jsonb,
    -- null: of every deal
    deal_id         uuid,
    rate_per_second int         NOT NULL,
    matched         bigint      NOT NULL,
    sent            bigint      NOT NULL DEFAULT 0,
    -- the place up to which the endpoint's deliveries have been looked through
    at_epoch        bigint      NOT NULL DEFAULT -1,
    at_sequence     bigint      NOT NULL DEFAULT -1,
    at_index        int         NOT NULL DEFAULT -1,
    exhausted       boolean     NOT NULL DEFAULT FALSE,
    next_step_at    timestamptz NOT NULL,
    idempotency_key text,
    -- what was requested, to tell a repetition from another request with the same key
    request         text        NOT NULL,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CHECK ((state = 'RUNNING') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX webhook_replay_running ON webhook_replay (webhook_id) WHERE state = 'RUNNING';
CREATE UNIQUE INDEX webhook_replay_key ON webhook_replay (buyer_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX webhook_replay_due ON webhook_replay (next_step_at) WHERE state = 'RUNNING';
CREATE INDEX webhook_replay_by_webhook ON webhook_replay (webhook_id, id);

-- Deliveries that a running replay has selected and not finished with, at most a thousand of each.
CREATE TABLE webhook_replay_delivery (
    replay_id    uuid   NOT NULL,
    delivery_id  uuid   NOT NULL,
    deal_id      uuid,
    epoch        bigint NOT NULL,
    sequence     bigint NOT NULL,
    change_index int    NOT NULL,
    -- WAITING: still finished; OPENED: pending and not called yet; SENT: called, and waiting for its next try
    stage        text   NOT NULL CHECK (stage IN ('WAITING', 'OPENED', 'SENT')),
    -- of the delivery before it was opened
    finished_at  timestamptz NOT NULL,
    PRIMARY KEY (replay_id, delivery_id)
);
