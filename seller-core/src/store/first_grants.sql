-- Reads the first buyers, by id, to whom a seller grants access. $1: seller; $2: most rows.
SELECT buyer_id, since
  FROM access
 WHERE seller_id = $1 AND granted
 ORDER BY buyer_id
 LIMIT $2;
