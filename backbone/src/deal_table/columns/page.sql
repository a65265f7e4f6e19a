-- Reads deals in the order of their ids. $1: id of the first. $2: most rows.
SELECT id, seller_id, name, total_price, currency, status, discount, items, CAST(version AS bigint), revision,
       sequence, created_at, updated_at
  FROM deal WHERE id >= $1 ORDER BY id LIMIT $2;
