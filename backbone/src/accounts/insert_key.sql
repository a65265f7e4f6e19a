-- Stores a key and returns its id; a key that exists keeps its row.
-- $1: id. $2: account. $3: SHA-256 of the key. $4: label or NULL. $5: time.
INSERT INTO api_key (id, account_id, hash, label, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (hash) DO UPDATE SET hash = excluded.hash
RETURNING id;
