-- Buyer side. The projection's tables (deal, access, feed, dead_event, projection) can be made again from the log;
-- accounts and keys cannot.
CREATE TABLE projection (
    name       TEXT    PRIMARY KEY,
    epoch      INTEGER NOT NULL DEFAULT 0,
    position   INTEGER NOT NULL DEFAULT 0,
    event_id   BLOB,
    generation INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO projection (name) VALUES ('buyer');

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

-- One row for every grant: the buyer may see what lies at granted_at <= sequence < revoked_at.
-- An empty interval keeps the revision of a pair that was never open.
CREATE TABLE access (
    seller_id  BLOB    NOT NULL,
    buyer_id   BLOB    NOT NULL,
    granted_at INTEGER NOT NULL,
    revoked_at INTEGER,
    since      INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (seller_id, buyer_id, granted_at)
) STRICT;
CREATE UNIQUE INDEX access_open ON access (buyer_id, seller_id) WHERE revoked_at IS NULL;
CREATE INDEX access_by_buyer ON access (buyer_id);

-- What subscribers read: every change, by its place in the log.
CREATE TABLE feed (
    sequence     INTEGER NOT NULL,
    change_index INTEGER NOT NULL,
    seller_id    BLOB    NOT NULL,
    body         TEXT    NOT NULL,
    PRIMARY KEY (sequence, change_index)
) STRICT;
CREATE INDEX feed_by_seller ON feed (seller_id, sequence, change_index);

CREATE TABLE account (
    id         BLOB    PRIMARY KEY,
    role       TEXT    NOT NULL CHECK (role = 'BUYER'),
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
