-- Changes an endpoint. $1: buyer; $2: endpoint; $3: URL or null; $4: events or null; $5: whether to set the sellers to
-- $6; $7: sequence after which the events, sellers and fields hold, or null; $8: whether to set the description to $9;
-- $10: whether to set the fields to $11. Null URL and events stay; the others may become null, so each has a flag.
-- Failures and holds were those of the URL: another one starts without them.
UPDATE webhook
   SET url = coalesce($3, url), events = coalesce($4, events),
       failures = CASE WHEN $3 <> url THEN 0 ELSE failures END,
       failing_since = CASE WHEN $3 <> url THEN NULL ELSE failing_since END,
       held_until = CASE WHEN $3 <> url THEN NULL ELSE held_until END,
       seller_ids = CASE WHEN $5 THEN $6 ELSE seller_ids END,
       from_position = coalesce($7, from_position),
       description = CASE WHEN $8 THEN $9 ELSE description END,
       only_when_changed = CASE WHEN $10 THEN $11 ELSE only_when_changed END
 WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL;
