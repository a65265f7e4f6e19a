-- The W3C trace of the mutation behind a change; null in rows of before. The time of the event is occurred_at.
-- The tables of webhooks move to a file of their own when the market is opened; those in this file stay, empty.
ALTER TABLE feed ADD COLUMN trace TEXT;
