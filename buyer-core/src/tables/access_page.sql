-- Reads access in the order of sellers, buyers and grants.
-- $1: seller, $2: buyer and $3: grant of the first. $4: most rows.
SELECT seller_id, buyer_id, granted_at, revoked_at, since, revision
  FROM access
 WHERE (seller_id, buyer_id, granted_at) >= ($1, $2, $3)
 ORDER BY seller_id, buyer_id, granted_at
 LIMIT $4;
