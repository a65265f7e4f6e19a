-- The feed is kept for some days: in blocks of sequences, each a partition, so that what is old goes at once and costs
-- readers nothing. Which blocks there are stands in feed_block; what has gone, up to which sequence, in feed_horizon.
-- Blocks are made by the projection, ahead of its place.
CREATE TABLE feed_block (
    first bigint PRIMARY KEY,
    last  bigint NOT NULL
);
CREATE TABLE feed_horizon (sequence bigint NOT NULL);
INSERT INTO feed_horizon VALUES (0);

ALTER TABLE feed RENAME TO feed_0;
ALTER TABLE feed_0 RENAME CONSTRAINT feed_pkey TO feed_0_pkey;
ALTER INDEX feed_by_seller RENAME TO feed_0_by_seller;
-- The age of what is there already counts from now.
ALTER TABLE feed_0 ADD COLUMN occurred_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE feed_0 ALTER COLUMN occurred_at DROP DEFAULT;

CREATE TABLE feed (
    sequence     bigint      NOT NULL,
    change_index smallint    NOT NULL,
    seller_id    uuid        NOT NULL,
    body         text        NOT NULL,
    occurred_at  timestamptz NOT NULL,
    PRIMARY KEY (sequence, change_index)
) PARTITION BY RANGE (sequence);
CREATE INDEX feed_by_seller ON feed (seller_id, sequence, change_index);

DO $$
DECLARE
    reached bigint := (SELECT position FROM projection WHERE name = 'buyer');
BEGIN
    IF reached = 0 THEN
        DROP TABLE feed_0;
    ELSE
        EXECUTE format('ALTER TABLE feed ATTACH PARTITION feed_0 FOR VALUES FROM (0) TO (%s)', reached + 1);
        INSERT INTO feed_block VALUES (0, reached);
    END IF;
END $$;
