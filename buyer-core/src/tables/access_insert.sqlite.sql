-- Inserts access as it is. $1: JSON array of objects with a field for each column.
INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
SELECT unhex(value ->> 'seller_id'), unhex(value ->> 'buyer_id'), value ->> 'granted_at', value ->> 'revoked_at',
       value ->> 'since', value ->> 'revision'
  FROM json_each($1);
