-- Finds the deliveries that finished first. $1: end of the period to drop (exclusive); $2: largest number of rows.
SELECT id, webhook_id FROM webhook_delivery WHERE finished_at < $1 ORDER BY finished_at LIMIT $2;
