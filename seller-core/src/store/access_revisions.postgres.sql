-- Reads the revisions of those pairs that have a row. $1: sellers; $2: buyers.
SELECT seller_id, buyer_id, revision
  FROM access
  JOIN unnest($1::uuid[], $2::uuid[]) AS pair (seller, buyer)
    ON seller_id = seller AND buyer_id = buyer;
