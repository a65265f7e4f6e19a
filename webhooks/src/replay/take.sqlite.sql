-- Takes the running replay whose next step has been due for the longest. $1: now.
SELECT id, webhook_id, state, delivery_state, since, until, events, deal_id, rate_per_second, matched, sent, at_epoch,
       at_sequence, at_index, exhausted, request, created_at
  FROM webhook_replay
 WHERE state = 'RUNNING' AND next_step_at <= $1
 ORDER BY next_step_at LIMIT 1;
