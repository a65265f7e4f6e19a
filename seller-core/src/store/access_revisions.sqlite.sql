-- Reads the revisions of those pairs that have a row. $1: JSON array of {seller, buyer}.
SELECT seller_id, buyer_id, revision
  FROM json_each($1)
  JOIN access
    ON seller_id = unhex(value ->> 'seller') AND buyer_id = unhex(value ->> 'buyer');
