-- Adds an endpoint. $1: id; $2: buyer; $3: URL; $4: events; $5: sellers or null; $6: fields or null; $7: description or
-- null; $8: sequence after which changes are delivered; $9: sealed secret; $10: now.
INSERT INTO webhook (id, buyer_id, url, events, seller_ids, only_when_changed, description, state, from_position,
                     secret, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'ACTIVE', $8, $9, $10);
