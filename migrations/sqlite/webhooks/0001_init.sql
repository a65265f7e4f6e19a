-- Webhooks, in a file of their own: their writer never waits for the projection's, nor the projection's for it. They are
-- primary data: nothing here can be made again from the log.
CREATE TABLE webhook (
    id                    BLOB    PRIMARY KEY,
    buyer_id              BLOB    NOT NULL,
    url                   TEXT    NOT NULL,
    events                TEXT    NOT NULL,
    -- null: of every seller
    seller_ids            TEXT,
    description           TEXT,
    state                 TEXT    NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED', 'DISABLED')),
    disabled_reason       TEXT,
    -- the settings of this row hold for what comes after it
    from_position         INTEGER NOT NULL,
    -- sealed, as the previous one is, which signs too for a while after a rotation
    secret                BLOB    NOT NULL,
    previous_secret       BLOB,
    previous_secret_until INTEGER,
    -- in a row
    failures              INTEGER NOT NULL DEFAULT 0,
    failing_since         INTEGER,
    -- nothing is claimed before
    held_until            INTEGER,
    -- kept until the last of its deliveries goes
    deleted_at            INTEGER,
    created_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_by_buyer ON webhook (buyer_id);

-- How many of an endpoint's deliveries stand where: the sums hold at every instant.
CREATE TABLE webhook_count (
    webhook_id BLOB    PRIMARY KEY REFERENCES webhook,
    owed       INTEGER NOT NULL DEFAULT 0,
    delivered  INTEGER NOT NULL DEFAULT 0,
    pending    INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    discarded  INTEGER NOT NULL DEFAULT 0,
    CHECK (owed = delivered + pending + dead + discarded),
    CHECK (min(delivered, pending, dead, discarded) >= 0)
) STRICT;

-- What is sent, once a change, however many endpoints it goes to; kept while one of their deliveries is there.
CREATE TABLE webhook_message (
    id         BLOB    PRIMARY KEY,
    event      TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    trace      TEXT,
    body       BLOB    NOT NULL,
    deliveries INTEGER NOT NULL CHECK (deliveries >= 0)
) STRICT;

-- One call owed to one endpoint.
-- due_at: when it may be sent; null when it is finished, or waits behind an earlier one of its deal. lease,
-- leased_until: who sends it now, and until when nobody else does; in no index, so that claiming touches none.
CREATE TABLE webhook_delivery (
    id           BLOB    PRIMARY KEY,
    webhook_id   BLOB    NOT NULL,
    message_id   BLOB    NOT NULL,
    -- null: it stands outside the order
    deal_id      BLOB,
    epoch        INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    change_index INTEGER NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'PENDING',
    -- spent of the schedule
    tries        INTEGER NOT NULL DEFAULT 0,
    -- ever made, over all replays
    attempts     INTEGER NOT NULL DEFAULT 0,
    replay       INTEGER NOT NULL DEFAULT FALSE,
    due_at       INTEGER,
    lease        BLOB,
    leased_until INTEGER,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    CHECK (state IN ('PENDING', 'DELIVERED', 'DEAD', 'DISCARDED')),
    CHECK ((state = 'PENDING') = (finished_at IS NULL)),
    CHECK (state = 'PENDING' OR (due_at IS NULL AND lease IS NULL))
) STRICT;
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (webhook_id, state, id);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, due_at) WHERE due_at IS NOT NULL;
-- The lanes: what waits of one deal at one endpoint, in its order. Only the head of a lane is due.
CREATE UNIQUE INDEX webhook_delivery_lane ON webhook_delivery (webhook_id, deal_id, sequence, change_index)
    WHERE state = 'PENDING' AND NOT replay AND deal_id IS NOT NULL;
CREATE INDEX webhook_delivery_finished ON webhook_delivery (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE webhook_attempt (
    delivery_id   BLOB    NOT NULL,
    number        INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    duration_ms   INTEGER NOT NULL,
    status_code   INTEGER,
    error         TEXT,
    -- the first 4 KiB
    response_body TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT;

-- One delivery for each endpoint and change. Test deliveries carry the end of an event, 65535, and there may be many.
CREATE UNIQUE INDEX webhook_delivery_once ON webhook_delivery (webhook_id, epoch, sequence, change_index)
    WHERE change_index < 65535;

-- Settings that an endpoint had before its present ones: they held for what lies at from_position < sequence <=
-- to_position.
CREATE TABLE webhook_past_settings (
    webhook_id    BLOB    NOT NULL,
    from_position INTEGER NOT NULL,
    to_position   INTEGER NOT NULL,
    events        TEXT    NOT NULL,
    seller_ids    TEXT,
    PRIMARY KEY (webhook_id, to_position)
) STRICT;

-- The place of the fan-out: it has the changes up to (sequence, change_index), but of the last one only the endpoints up
-- to webhook_id, unless that is null. It may have begun with what lies up to claimed: new settings begin behind it.
-- The row is added when the market is opened for the first time.
CREATE TABLE webhook_fanout (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    epoch        INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    change_index INTEGER NOT NULL,
    webhook_id   BLOB,
    claimed      INTEGER NOT NULL
) STRICT;
