-- Creates an account unless its id exists. $1: id. $2: role. $3: name. $4: time.
INSERT INTO account (id, role, name, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING;
