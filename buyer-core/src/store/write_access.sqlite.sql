-- Writes access rows. $1: JSON array of {seller, buyer, granted_at, revoked_at, since, revision}.
INSERT INTO access (seller_id, buyer_id, granted_at, revoked_at, since, revision)
SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), value ->> 'granted_at', value ->> 'revoked_at',
       value ->> 'since', value ->> 'revision'
  FROM json_each($1)
 WHERE TRUE
    ON CONFLICT (seller_id, buyer_id, granted_at) DO UPDATE
   SET revoked_at = excluded.revoked_at, revision = excluded.revision;
