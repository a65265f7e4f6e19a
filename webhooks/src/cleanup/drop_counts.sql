-- Deletes the counts of deleted endpoints without deliveries. The counts refer to the endpoints, so they go first.
DELETE FROM webhook_count
 WHERE owed = 0 AND webhook_id IN (SELECT id FROM webhook WHERE deleted_at IS NOT NULL);
