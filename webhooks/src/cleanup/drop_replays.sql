-- Deletes replays that ended before a time, and those of endpoints that are gone. $1: end of the period (exclusive).
DELETE FROM webhook_replay
 WHERE finished_at < $1
    OR NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = webhook_replay.webhook_id);
