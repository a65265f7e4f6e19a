-- Adds a running replay, unless the endpoint has one or the idempotency key was used. $1: replay; $2: buyer; $3:
-- endpoint; $4: state of the deliveries; $5, $6: first and last time of their creation; $7: events or null; $8: deal or
-- null; $9: deliveries a second; $10: number of deliveries; $11: idempotency key or null; $12: request; $13: now.
INSERT INTO webhook_replay (id, buyer_id, webhook_id, state, delivery_state, since, until, events, deal_id,
                            rate_per_second, matched, idempotency_key, request, created_at, next_step_at)
VALUES ($1, $2, $3, 'RUNNING', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
    ON CONFLICT DO NOTHING;
