-- Stores a key, unless it is there. $1: id. $2: account. $3: SHA-256 of the key. $4: label or NULL. $5: time. $6: end
-- or NULL.
INSERT INTO api_key (id, account_id, hash, label, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING;
