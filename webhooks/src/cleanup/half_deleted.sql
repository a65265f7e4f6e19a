-- Finds deleted endpoints that still have pending deliveries, because a process ended between the two steps.
SELECT w.id
  FROM webhook w JOIN webhook_count c ON c.webhook_id = w.id
 WHERE w.deleted_at IS NOT NULL AND c.pending > 0;
