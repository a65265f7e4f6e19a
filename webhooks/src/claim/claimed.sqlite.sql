-- Reads claimed deliveries with all that a call needs. $1: now; $2: JSON array of [delivery in hex, limit of its
-- endpoint].
SELECT d.id, d.webhook_id, d.replay, d.attempts, d.created_at, claimed.value ->> 1 AS room, m.body, w.url,
       w.secret, CASE WHEN w.previous_secret_until > $1 THEN w.previous_secret END AS previous_secret
  FROM json_each($2) AS claimed
  JOIN webhook_delivery d ON d.id = unhex(claimed.value ->> 0)
  JOIN webhook_message m ON m.id = d.message_id
  JOIN webhook w ON w.id = d.webhook_id
 ORDER BY d.id;
