-- Reads the grants to a buyer that hold, by seller. $1: buyer; $2: seller before the first; $3: most rows.
SELECT seller_id, buyer_id, since
  FROM access
 WHERE buyer_id = $1 AND revoked_at IS NULL AND seller_id > $2
 ORDER BY seller_id
 LIMIT $3;
