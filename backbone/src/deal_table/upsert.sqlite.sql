-- Writes the last state of each deal of a batch; newer states replace older ones.
-- $1: JSON array of objects, one for each deal.
INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                  sequence, created_at, updated_at)
SELECT unhex(value ->> 'id'), unhex(value ->> 'seller'), value ->> 'name', value ->> 'price',
       value ->> 'currency', value ->> 'status', nullif(value -> 'discount', 'null'), value -> 'items', value ->> 'version',
       value ->> 'revision', value ->> 'sequence', value ->> 'created', value ->> 'updated'
  FROM json_each($1) WHERE TRUE
ON CONFLICT (id) DO UPDATE
   SET name = excluded.name, total_price = excluded.total_price, status = excluded.status,
       discount = excluded.discount, items = excluded.items, version = excluded.version,
       revision = excluded.revision, sequence = excluded.sequence, updated_at = excluded.updated_at
 WHERE deal.sequence < excluded.sequence;
