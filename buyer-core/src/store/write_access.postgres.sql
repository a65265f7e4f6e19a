-- Writes access rows. $1: sellers; $2: buyers; $3: granted at; $4: revoked at or null; $5: since; $6: revisions.
INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
SELECT seller_id, buyer_id, granted_at, revoked_at, since, revision
  FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[])
       AS new (seller_id, buyer_id, granted_at, revoked_at, since, revision)
    ON CONFLICT (seller_id, buyer_id, granted_at) DO UPDATE
   SET revoked_at = excluded.revoked_at, revision = excluded.revision;
