-- Reads the settings that the endpoints of some buyers had or have in a range of the log, one row for each interval.
-- $1: JSON array of buyers; $2: first sequence of the range; $3: its last.
SELECT w.id, w.buyer_id, w.events, w.seller_ids, w.only_when_changed, w.from_position, NULL AS to_position
  FROM webhook w
 WHERE w.buyer_id IN (SELECT unhex(value) FROM json_each($1)) AND w.deleted_at IS NULL AND w.from_position < $3
 UNION ALL
SELECT w.id, w.buyer_id, p.events, p.seller_ids, p.only_when_changed, p.from_position, p.to_position
  FROM webhook w
  JOIN webhook_past_settings p ON p.webhook_id = w.id
 WHERE w.buyer_id IN (SELECT unhex(value) FROM json_each($1)) AND w.deleted_at IS NULL AND p.from_position < $3 AND p.to_position >= $2;
