-- Reads access in the order of sellers and buyers. $1: seller and $2: buyer of the first. $3: most rows.
SELECT seller_id, buyer_id, granted, since, revision
  FROM access
 WHERE (seller_id, buyer_id) >= ($1, $2)
 ORDER BY seller_id, buyer_id
 LIMIT $3;
