-- Finds the endpoint of one of a buyer's deliveries, unless the endpoint is deleted. $1: buyer; $2: delivery.
SELECT d.webhook_id
  FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook_id
 WHERE d.id = $2 AND w.buyer_id = $1 AND w.deleted_at IS NULL;
