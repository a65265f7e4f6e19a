-- Lets statements of this session wait for locks as long as the session's start said.
RESET lock_timeout;
