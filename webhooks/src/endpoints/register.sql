-- Adds an endpoint. $1: id; $2: buyer; $3: URL; $4: events; $5: sellers or null; $6: description or null; $7: sequence
-- after which changes are delivered; $8: sealed secret; $9: now.
INSERT INTO webhook (id, buyer_id, url, events, seller_ids, description, state, from_position, secret, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 'ACTIVE', $7, $8, $9);
