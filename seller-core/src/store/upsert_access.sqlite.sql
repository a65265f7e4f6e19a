-- Writes the state of pairs, one row a pair. $1: JSON array of {seller, buyer, granted, since, revision}.
INSERT INTO access (seller_id, buyer_id, granted, since, revision)
SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), value ->> 'granted', value ->> 'since',
       value ->> 'revision'
  FROM json_each($1)
 WHERE TRUE
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
   SET granted = excluded.granted, since = excluded.since, revision = excluded.revision;
