-- The feed is kept for some days. What has gone, up to which sequence, stands in feed_horizon.
CREATE TABLE feed_horizon (sequence INTEGER NOT NULL) STRICT;
INSERT INTO feed_horizon VALUES (0);
-- The age of what is there already counts from now.
ALTER TABLE feed ADD COLUMN occurred_at INTEGER NOT NULL DEFAULT 0;
UPDATE feed SET occurred_at = unixepoch() * 1000000;
