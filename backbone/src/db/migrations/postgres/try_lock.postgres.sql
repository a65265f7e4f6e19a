-- Takes the lock of migrations for this session if it is free. $1: key.
SELECT pg_try_advisory_lock($1);
