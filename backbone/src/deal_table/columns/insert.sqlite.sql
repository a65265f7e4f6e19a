-- Inserts deals as they are. $1: JSON array of objects with a field for each column.
INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                  sequence, created_at, updated_at)
SELECT unhex(value ->> 'id'), unhex(value ->> 'seller_id'), value ->> 'name', value ->> 'total_price',
       value ->> 'currency', value ->> 'status', nullif(value -> 'discount', 'null'), value -> 'items',
       value ->> 'version', value ->> 'revision', value ->> 'sequence', value ->> 'created_at',
       value ->> 'updated_at'
  FROM json_each($1);
