-- Buyer side. The projection's tables (deal, access, feed, dead_event, projection) can be made again from the log;
-- accounts and keys cannot.
CREATE TABLE projection (
    name       text   PRIMARY KEY,
    epoch      bigint NOT NULL DEFAULT 0,
    position   bigint NOT NULL DEFAULT 0,
    event_id   uuid,
    generation int    NOT NULL DEFAULT 1
);
INSERT INTO projection (name) VALUES ('buyer');

CREATE TABLE dead_event (
    sequence bigint  PRIMARY KEY,
    subject  text    NOT NULL,
    reason   text    NOT NULL,
    headers  jsonb   NOT NULL,
    body     bytea   NOT NULL,
    repaired boolean NOT NULL
);
CREATE INDEX dead_event_unrepaired ON dead_event (subject) WHERE NOT repaired;

CREATE TABLE deal (
    id          uuid        PRIMARY KEY,
    seller_id   uuid        NOT NULL,
    name        text        NOT NULL,
    total_price bigint      NOT NULL,
    currency    text        NOT NULL,
    status      text        NOT NULL,
    discount    jsonb,
    items       jsonb       NOT NULL,
    version     int         NOT NULL,
    revision    bigint      NOT NULL,
    sequence    bigint      NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE INDEX deal_by_change ON deal (seller_id, sequence);
CREATE INDEX deal_by_price ON deal (seller_id, currency, total_price, id);

-- One row for every grant: the buyer may see what lies at granted_at <= sequence < revoked_at.
-- An empty interval keeps the revision of a pair that was never open.
CREATE TABLE access (
    seller_id  uuid        NOT NULL,
    buyer_id   uuid        NOT NULL,
    granted_at bigint      NOT NULL,
    revoked_at bigint,
    since      timestamptz NOT NULL,
    revision   bigint      NOT NULL,
    PRIMARY KEY (seller_id, buyer_id, granted_at)
);
CREATE UNIQUE INDEX access_open ON access (buyer_id, seller_id) WHERE revoked_at IS NULL;
CREATE INDEX access_by_buyer ON access (buyer_id);

-- What subscribers read: every change, by its place in the log.
CREATE TABLE feed (
    sequence     bigint   NOT NULL,
    change_index smallint NOT NULL,
    seller_id    uuid     NOT NULL,
    body         text     NOT NULL,
    PRIMARY KEY (sequence, change_index)
);
CREATE INDEX feed_by_seller ON feed (seller_id, sequence, change_index);

CREATE TABLE account (
    id         uuid        PRIMARY KEY,
    role       text        NOT NULL CHECK (role = 'BUYER'),
    name       text        NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE api_key (
    id         uuid        PRIMARY KEY,
    account_id uuid        NOT NULL REFERENCES account,
    hash       bytea       NOT NULL UNIQUE,
    label      text,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
