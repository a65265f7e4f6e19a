-- Forgets deliveries of replays that are gone.
DELETE FROM webhook_replay_delivery
 WHERE NOT EXISTS (SELECT 1 FROM webhook_replay r WHERE r.id = webhook_replay_delivery.replay_id);
