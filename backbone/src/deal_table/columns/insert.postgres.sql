-- Inserts deals as they are. $1: JSON array of objects with a field for each column.
INSERT INTO deal (id, seller_id, name, total_price, currency, status, discount, items, version, revision,
                  sequence, created_at, updated_at)
SELECT id, seller_id, name, total_price, currency, status, discount, items, version, revision,
       sequence, created_at, updated_at
  FROM jsonb_populate_recordset(NULL::deal, $1);
