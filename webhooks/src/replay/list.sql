-- Lists the newest replays of a buyer's endpoint, newest first. $1: buyer; $2: endpoint; $3: largest number.
SELECT id, webhook_id, state, delivery_state, since, until, events, deal_id, rate_per_second, matched, sent, at_epoch,
       at_sequence, at_index, exhausted, request, created_at
  FROM webhook_replay
 WHERE webhook_id = $2 AND buyer_id = $1
 ORDER BY id DESC LIMIT $3;
