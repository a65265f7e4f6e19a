-- Stores attempts. $1: JSON array of [delivery in hex, number, start, duration in ms, status, error, response body].
INSERT INTO webhook_attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
  FROM json_each($1);
