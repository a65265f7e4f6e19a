-- Fields of which an endpoint wants one to be changed; null: every change. A setting with a place in the log.
ALTER TABLE webhook ADD COLUMN only_when_changed jsonb;
ALTER TABLE webhook_past_settings ADD COLUMN only_when_changed jsonb;
