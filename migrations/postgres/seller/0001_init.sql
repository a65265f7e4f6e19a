-- Seller side. The projection's tables (deal, access, dead_event, projection) can be made again from the log;
-- accounts and keys cannot.
CREATE TABLE projection (
    name       text   PRIMARY KEY,
    epoch      bigint NOT NULL DEFAULT 0,
    position   bigint NOT NULL DEFAULT 0,
    event_id   uuid,
    generation int    NOT NULL DEFAULT 1
);
INSERT INTO projection (name) VALUES ('seller');

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

CREATE TABLE access (
    seller_id uuid        NOT NULL,
    buyer_id  uuid        NOT NULL,
    granted   boolean     NOT NULL,
    since     timestamptz NOT NULL,
    revision  bigint      NOT NULL,
    PRIMARY KEY (seller_id, buyer_id)
);

CREATE TABLE account (
    id         uuid        PRIMARY KEY,
    role       text        NOT NULL CHECK (role IN ('SELLER', 'ADMIN')),
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

-- Examples that were begun here; one that is not done is completed at the next start.
CREATE TABLE seeding (
    name text    PRIMARY KEY,
    done boolean NOT NULL
);
