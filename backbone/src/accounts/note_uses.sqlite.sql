-- Notes when keys were used, at most once a minute for each.
-- $1: JSON array of pairs: id in hexadecimal, time in microseconds.
UPDATE api_key SET last_used_at = used.at
  FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS at FROM json_each($1)) AS used
 WHERE api_key.id = used.id
   AND (api_key.last_used_at IS NULL OR api_key.last_used_at <= used.at - 60000000);
