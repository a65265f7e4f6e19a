-- Counts a buyer's endpoints that are not deleted. $1: buyer.
SELECT count(*) FROM webhook WHERE buyer_id = $1 AND deleted_at IS NULL;
