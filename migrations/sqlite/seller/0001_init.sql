-- Seller side. The projection's tables (deal, access, dead_event, projection) can be made again from the log;
-- accounts and keys cannot.
CREATE TABLE projection (
    name       TEXT    PRIMARY KEY,
    epoch      INTEGER NOT NULL DEFAULT 0,
    position   INTEGER NOT NULL DEFAULT 0,
    event_id   BLOB,
    generation INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO projection (name) VALUES ('seller');

CREATE TABLE dead_event (
    sequence INTEGER PRIMARY KEY,
    subject  TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    headers  TEXT    NOT NULL,
    body     BLOB    NOT NULL,
    repaired INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_event_unrepaired ON dead_event (subject) WHERE NOT repaired;

CREATE TABLE deal (
    id          BLOB    PRIMARY KEY,
    seller_id   BLOB    NOT NULL,
    name        TEXT    NOT NULL,
    total_price INTEGER NOT NULL,
    currency    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    discount    TEXT,
    items       TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX deal_by_change ON deal (seller_id, sequence);
CREATE INDEX deal_by_price ON deal (seller_id, currency, total_price, id);

CREATE TABLE access (
    seller_id BLOB    NOT NULL,
    buyer_id  BLOB    NOT NULL,
    granted   INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    PRIMARY KEY (seller_id, buyer_id)
) STRICT;

CREATE TABLE account (
    id         BLOB    PRIMARY KEY,
    role       TEXT    NOT NULL CHECK (role IN ('SELLER', 'ADMIN')),
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_key (
    id         BLOB    PRIMARY KEY,
    account_id BLOB    NOT NULL REFERENCES account,
    hash       BLOB    NOT NULL UNIQUE,
    label      TEXT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- Examples that were begun here; one that is not done is completed at the next start.
CREATE TABLE seeding (
    name TEXT    PRIMARY KEY,
    done INTEGER NOT NULL
) STRICT;
