-- Locks messages in the order of their ids, so that two cleanups cannot deadlock. $1: messages.
SELECT id FROM webhook_message WHERE id = ANY ($1) ORDER BY id FOR UPDATE;
