-- Reads the next buyers, by id, to whom a seller grants access. $1: seller; $2: most rows; $3: buyer before the first.
SELECT buyer_id, since
  FROM access
 WHERE seller_id = $1 AND granted AND buyer_id > $3
 ORDER BY buyer_id
 LIMIT $2;
