-- Adds the counts of a new endpoint, all zero. $1: endpoint.
INSERT INTO webhook_count (webhook_id) VALUES ($1);
