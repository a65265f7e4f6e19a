-- Webhooks are primary data: nothing here can be made again from the log.
CREATE TABLE webhook (
    id                    uuid        PRIMARY KEY,
    buyer_id              uuid        NOT NULL,
    url                   text        NOT NULL,
    events                jsonb       NOT NULL,
    -- null: of every seller
    seller_ids            jsonb,
    description           text,
    state                 text        NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED', 'DISABLED')),
    disabled_reason       text,
    -- deliveries are owed for what comes after it
    from_position         bigint      NOT NULL,
    -- sealed, as the previous one is, which signs too for a while after a rotation
    secret                bytea       NOT NULL,
    previous_secret       bytea,
    previous_secret_until timestamptz,
    -- in a row
    failures              int         NOT NULL DEFAULT 0,
    failing_since         timestamptz,
    -- nothing is claimed before
    held_until            timestamptz,
    -- kept until the last of its deliveries goes
    deleted_at            timestamptz,
    created_at            timestamptz NOT NULL
);
CREATE INDEX webhook_by_buyer ON webhook (buyer_id);

-- This row is the lock of its endpoint's deliveries: whoever adds, finishes, re-opens, discards or drops some locks it
-- first (of several, in the order of their ids), so that the sums hold at every instant.
CREATE TABLE webhook_count (
    webhook_id uuid   PRIMARY KEY REFERENCES webhook,
    owed       bigint NOT NULL DEFAULT 0,
    delivered  bigint NOT NULL DEFAULT 0,
    pending    bigint NOT NULL DEFAULT 0,
    dead       bigint NOT NULL DEFAULT 0,
    discarded  bigint NOT NULL DEFAULT 0,
    CHECK (owed = delivered + pending + dead + discarded),
    CHECK (least(delivered, pending, dead, discarded) >= 0)
) WITH (fillfactor = 50);

-- What is sent, once a change, however many endpoints it goes to; kept while one of their deliveries is there.
CREATE TABLE webhook_message (
    id         uuid   PRIMARY KEY,
    event      text   NOT NULL,
    epoch      bigint NOT NULL,
    trace      text,
    body       bytea  NOT NULL,
    deliveries int    NOT NULL CHECK (deliveries >= 0)
);

-- One call owed to one endpoint. No foreign keys here: each costs a look-up a row.
-- due_at: when it may be sent; null when it is finished, or waits behind an earlier one of its deal. lease,
-- leased_until: who sends it now, and until when nobody else does; in no index, so that claiming touches none.
CREATE TABLE webhook_delivery (
    id           uuid        PRIMARY KEY,
    webhook_id   uuid        NOT NULL,
    message_id   uuid        NOT NULL,
    -- null: it stands outside the order
    deal_id      uuid,
    sequence     bigint      NOT NULL,
    change_index int         NOT NULL,
    state        text        NOT NULL DEFAULT 'PENDING',
    -- spent of the schedule
    tries        int         NOT NULL DEFAULT 0,
    -- ever made, over all replays
    attempts     int         NOT NULL DEFAULT 0,
    replay       boolean     NOT NULL DEFAULT FALSE,
    due_at       timestamptz,
    lease        uuid,
    leased_until timestamptz,
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD', 'DISCARDED')),
    CHECK ((state = 'PENDING') = (finished_at IS NULL)),
    CHECK (state = 'PENDING' OR (due_at IS NULL AND lease IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (webhook_id, state, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, due_at) WHERE due_at IS NOT NULL;
-- The lanes: what waits of one deal at one endpoint, in its order. Only the head of a lane is due.
CREATE UNIQUE INDEX webhook_delivery_lane ON webhook_delivery (webhook_id, deal_id, sequence, change_index)
    WHERE state = 'PENDING' AND NOT replay AND deal_id IS NOT NULL;
CREATE INDEX webhook_delivery_finished ON webhook_delivery (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE webhook_attempt (
    delivery_id   uuid        NOT NULL,
    number        int         NOT NULL,
    started_at    timestamptz NOT NULL,
    duration_ms   int         NOT NULL,
    status_code   int,
    error         text,
    -- the first 4 KiB
    response_body text,
    PRIMARY KEY (delivery_id, number)
);
