-- Ends the access of pairs and keeps their revisions. $1: JSON array of {seller, buyer}.
-- A pair without a readable event gets a row that no event made: revision 0, since the Unix epoch.
INSERT INTO access (seller_id, buyer_id, granted, since, revision)
SELECT unhex(value ->> 'seller'), unhex(value ->> 'buyer'), FALSE, 0, 0
  FROM json_each($1)
 WHERE TRUE
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
   SET granted = FALSE;
