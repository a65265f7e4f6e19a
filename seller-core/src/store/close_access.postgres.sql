-- Ends the access of pairs and keeps their revisions. $1: sellers; $2: buyers.
-- A pair without a readable event gets a row that no event made: revision 0, since the Unix epoch.
INSERT INTO access (seller_id, buyer_id, granted, since, revision)
SELECT seller, buyer, FALSE, to_timestamp(0), 0
  FROM unnest($1::uuid[], $2::uuid[]) AS pair (seller, buyer)
    ON CONFLICT (seller_id, buyer_id) DO UPDATE
   SET granted = FALSE;
