-- Lists a buyer's endpoints with their counts, oldest first. $1: buyer.
SELECT w.id, w.url, w.events, w.seller_ids, w.description, w.state, w.disabled_reason, w.created_at,
       c.owed, c.delivered, c.pending, c.dead, c.discarded
  FROM webhook w JOIN webhook_count c ON c.webhook_id = w.id
 WHERE w.buyer_id = $1 AND w.deleted_at IS NULL
 ORDER BY w.created_at, w.id;
