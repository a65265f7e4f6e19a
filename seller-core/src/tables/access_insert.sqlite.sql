-- Inserts access as it is. $1: JSON array of objects with a field for each column.
INSERT INTO access (seller_id, buyer_id, granted, since, revision)
SELECT unhex(value ->> 'seller_id'), unhex(value ->> 'buyer_id'), value ->> 'granted', value ->> 'since',
       value ->> 'revision'
  FROM json_each($1);
