-- Forgets all deliveries of a replay. $1: replay.
DELETE FROM webhook_replay_delivery WHERE replay_id = $1;
