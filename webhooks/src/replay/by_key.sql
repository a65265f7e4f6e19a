-- Finds the replay that a buyer requested with an idempotency key. $1: buyer; $2: key.
SELECT id, webhook_id, state, delivery_state, since, until, events, deal_id, rate_per_second, matched, sent, at_epoch,
       at_sequence, at_index, exhausted, request, created_at
  FROM webhook_replay
 WHERE buyer_id = $1 AND idempotency_key = $2;
