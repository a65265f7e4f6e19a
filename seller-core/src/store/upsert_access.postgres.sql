-- Writes the state of pairs, one row a pair. $1: sellers; $2: buyers; $3: granted; $4: since; $5: revisions.
INSERT INTO access (seller_id, buyer_id, granted, since, revision)
SELECT seller_id, buyer_id, granted, since, revision
  FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::bigint[])
       AS new (seller_id, buyer_id, granted, since, revision)
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
   SET granted = excluded.granted, since = excluded.since, revision = excluded.revision;
