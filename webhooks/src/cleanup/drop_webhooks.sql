-- Deletes the rows of deleted endpoints whose counts are gone.
DELETE FROM webhook
 WHERE deleted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM webhook_count c WHERE c.webhook_id = webhook.id);
