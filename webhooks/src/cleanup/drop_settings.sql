-- Deletes past settings that hold for no change that the fan-out still has before it.
DELETE FROM webhook_past_settings
 WHERE to_position < (SELECT sequence FROM webhook_fanout);
