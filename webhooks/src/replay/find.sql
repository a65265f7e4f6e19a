-- Finds a replay of a buyer. $1: buyer; $2: replay.
SELECT id, webhook_id, state, delivery_state, since, until, events, deal_id, rate_per_second, matched, sent, at_epoch,
       at_sequence, at_index, exhausted, request, created_at
  FROM webhook_replay
 WHERE id = $2 AND buyer_id = $1;
