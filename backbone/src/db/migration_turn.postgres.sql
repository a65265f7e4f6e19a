-- Takes the turn to migrate, unless another session has it. It lasts as long as the session.
SELECT pg_try_advisory_lock(7306357456639484517);
