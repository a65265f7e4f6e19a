-- Reads one of a buyer's endpoints with its counts, deleted or not. $1: buyer; $2: endpoint.
SELECT w.id, w.url, w.events, w.seller_ids, w.description, w.state, w.disabled_reason, w.created_at,
       c.owed, c.delivered, c.pending, c.dead, c.discarded
  FROM webhook w JOIN webhook_count c ON c.webhook_id = w.id
 WHERE w.buyer_id = $1 AND w.id = $2;
