-- Reads the newest access row of each pair that has one. $1: sellers; $2: buyers.
SELECT DISTINCT ON (a.seller_id, a.buyer_id)
       a.seller_id, a.buyer_id, a.granted_at, a.revoked_at, a.since, a.revision
  FROM unnest($1::uuid[], $2::uuid[]) AS pair (seller_id, buyer_id)
  JOIN access a USING (seller_id, buyer_id)
 ORDER BY a.seller_id, a.buyer_id, a.granted_at DESC;
