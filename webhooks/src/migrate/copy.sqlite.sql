-- Copies everything about webhooks from the buyer side's file, as far as it is not here yet. What the projection of a
-- version before had projected it had also fanned out, so the fan-out begins there.
INSERT INTO webhook_fanout (one, epoch, sequence, change_index, claimed)
SELECT 1, epoch, position, 65535, position
  FROM buyer.projection
 WHERE name = 'buyer'
    ON CONFLICT DO NOTHING;

INSERT INTO webhook (id, buyer_id, url, events, seller_ids, description, state, disabled_reason, from_position, secret,
                     previous_secret, previous_secret_until, failures, failing_since, held_until, deleted_at, created_at)
SELECT id, buyer_id, url, events, seller_ids, description, state, disabled_reason, from_position, secret,
       previous_secret, previous_secret_until, failures, failing_since, held_until, deleted_at, created_at
  FROM buyer.webhook
 WHERE TRUE
    ON CONFLICT DO NOTHING;

INSERT INTO webhook_count (webhook_id, owed, delivered, pending, dead, discarded)
SELECT webhook_id, owed, delivered, pending, dead, discarded
  FROM buyer.webhook_count
 WHERE TRUE
    ON CONFLICT DO NOTHING;

INSERT INTO webhook_message (id, event, epoch, trace, body, deliveries)
SELECT id, event, epoch, trace, body, deliveries
  FROM buyer.webhook_message
 WHERE TRUE
    ON CONFLICT DO NOTHING;

INSERT INTO webhook_delivery (id, webhook_id, message_id, deal_id, epoch, sequence, change_index, state, tries, attempts,
                              replay, due_at, lease, leased_until, created_at, finished_at)
SELECT d.id, d.webhook_id, d.message_id, d.deal_id, m.epoch, d.sequence, d.change_index, d.state, d.tries, d.attempts,
       d.replay, d.due_at, d.lease, d.leased_until, d.created_at, d.finished_at
  FROM buyer.webhook_delivery d
  JOIN buyer.webhook_message m ON m.id = d.message_id
 WHERE TRUE
    ON CONFLICT DO NOTHING;

INSERT INTO webhook_attempt (delivery_id, number, started_at, duration_ms, status_code, error, response_body)
SELECT delivery_id, number, started_at, duration_ms, status_code, error, response_body
  FROM buyer.webhook_attempt
 WHERE TRUE
    ON CONFLICT DO NOTHING;
