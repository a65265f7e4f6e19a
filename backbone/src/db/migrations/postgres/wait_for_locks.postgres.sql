-- Lets statements of this session wait for locks without an end.
SET lock_timeout = 0;
