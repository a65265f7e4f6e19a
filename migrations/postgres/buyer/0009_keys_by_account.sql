-- no-transaction
-- Keys of an account, for their list.
CREATE INDEX CONCURRENTLY IF NOT EXISTS api_key_by_account ON api_key (account_id, created_at, id);
