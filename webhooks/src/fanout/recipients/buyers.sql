-- Reads the buyers who have endpoints.
SELECT DISTINCT buyer_id
  FROM webhook
 WHERE deleted_at IS NULL;
