-- Tests whether a buyer has an endpoint that is not deleted. $1: buyer; $2: endpoint.
SELECT EXISTS (SELECT 1 FROM webhook WHERE buyer_id = $1 AND id = $2 AND deleted_at IS NULL);
