-- Tells whether a step of any running replay is due. $1: now.
SELECT EXISTS (SELECT 1 FROM webhook_replay WHERE state = 'RUNNING' AND next_step_at <= $1);
