-- Reads the intervals of access between some sellers and some buyers that meet a range of the log.
-- $1: JSON array of sellers; $2: JSON array of buyers; $3: first sequence of the range; $4: its last.
SELECT seller_id, buyer_id, granted_at, revoked_at
  FROM access
 WHERE seller_id IN (SELECT unhex(value) FROM json_each($1)) AND buyer_id IN (SELECT unhex(value) FROM json_each($2))
   AND granted_at <= $4 AND (revoked_at IS NULL OR revoked_at > $3);
