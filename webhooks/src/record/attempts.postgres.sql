-- Stores attempts. $1 to $7: deliveries, with number, start, duration in ms, status, error and response body.
INSERT INTO webhook_attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
SELECT delivery_id, number, started_at, duration_ms, status_code, error, response_body
  FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::int[], $5::int[], $6::text[], $7::text[])
       AS new (delivery_id, number, started_at, duration_ms, status_code, error, response_body);
