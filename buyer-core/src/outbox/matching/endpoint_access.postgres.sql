-- Reads endpoints with the access of their buyers to some sellers in a range of the log, once an interval.
-- $1: sellers; $2: first sequence of the range; $3: its last.
SELECT w.id, w.events, w.seller_ids, w.from_position, a.seller_id, a.granted_at, a.revoked_at
  FROM webhook w
  JOIN access a ON a.buyer_id = w.buyer_id
 WHERE w.deleted_at IS NULL AND a.seller_id = ANY($1)
   AND a.granted_at <= $3 AND (a.revoked_at IS NULL OR a.revoked_at > $2);
