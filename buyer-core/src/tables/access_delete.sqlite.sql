-- Deletes the access of pairs. $1: JSON array of {seller_id, buyer_id}.
DELETE FROM access
 WHERE (seller_id, buyer_id) IN (
       SELECT unhex(value ->> 'seller_id'), unhex(value ->> 'buyer_id') FROM json_each($1));
