-- Reads the deliveries that a replay has selected, in the order of their changes. $1: replay.
SELECT r.delivery_id, r.deal_id, r.stage, coalesce(d.state = 'PENDING', FALSE) AS pending,
       coalesce(d.tries, 0) AS tries, d.leased_until
  FROM webhook_replay_delivery r
  LEFT JOIN webhook_delivery d ON d.id = r.delivery_id
 WHERE r.replay_id = $1
 ORDER BY r.epoch, r.sequence, r.change_index;
