-- Makes the deliveries that wait for a retry due, if the endpoint is to get another URL. $1: buyer; $2: endpoint;
-- $3: URL; $4: now. Those of a call under way are due already, and its outcome is recorded as it comes.
UPDATE webhook_delivery SET due_at = $4
 WHERE webhook_id = $2 AND due_at > $4
   AND EXISTS (
    SELECT 1 FROM webhook w WHERE w.id = $2 AND w.buyer_id = $1 AND w.deleted_at IS NULL AND w.url <> $3);
