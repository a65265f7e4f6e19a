-- Inserts access as it is. $1: JSON array of objects with a field for each column.
INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
SELECT seller_id, buyer_id, granted_at, revoked_at, since, revision
  FROM jsonb_populate_recordset(NULL::access, $1);
