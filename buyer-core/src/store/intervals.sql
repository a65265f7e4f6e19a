-- Reads the intervals of a buyer's access with the checkpoint of the tables, from one snapshot. $1: buyer.
-- A buyer without access gets one row, which has only the checkpoint.
SELECT p.epoch, p.position, p.event_id, p.generation, a.seller_id, a.granted_at, a.revoked_at
  FROM projection p
  LEFT JOIN access a
    ON a.buyer_id = $1 AND (a.revoked_at IS NULL OR a.revoked_at > a.granted_at)
 WHERE p.name = 'buyer';
