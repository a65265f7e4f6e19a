-- Deletes the access of pairs. $1: JSON array of {seller_id, buyer_id}.
DELETE FROM access
 WHERE (seller_id, buyer_id) IN (
       SELECT seller_id, buyer_id FROM jsonb_to_recordset($1) AS gone (seller_id uuid, buyer_id uuid));
