-- Reads the newest access row of each pair that has one. $1: JSON array of {seller, buyer}.
-- Beside max(), SQLite takes the other columns from the row that has the maximum (https://sqlite.org/lang_select.html).
SELECT a.seller_id, a.buyer_id, max(a.granted_at) AS granted_at, a.revoked_at, a.since, a.revision
  FROM json_each($1) AS pair
  JOIN access a
    ON a.seller_id = unhex(pair.value ->> 'seller') AND a.buyer_id = unhex(pair.value ->> 'buyer')
 GROUP BY a.seller_id, a.buyer_id;
