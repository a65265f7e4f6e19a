-- Writes the last state of each deal of a batch; newer states replace older ones.
-- $1 to $13: one array for each column, in the order of the columns below.
INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                  sequence, created_at, updated_at)
SELECT id, seller_id, name, total_price, currency, status, discount, items, version, revision, sequence, created_at,
       updated_at
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[],
              $8::jsonb[], $9::int[], $10::bigint[], $11::bigint[], $12::timestamptz[],
              $13::timestamptz[])
       AS new (id, seller_id, name, total_price, currency, status, discount, items, version, revision, sequence,
               created_at, updated_at)
ON CONFLICT (id) DO UPDATE
   SET name = excluded.name, total_price = excluded.total_price, status = excluded.status,
       discount = excluded.discount, items = excluded.items, version = excluded.version,
       revision = excluded.revision, sequence = excluded.sequence, updated_at = excluded.updated_at
 WHERE deal.sequence < excluded.sequence;
