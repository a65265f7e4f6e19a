-- Deletes those of the messages that no delivery uses. $1: JSON array of messages in hex.
DELETE FROM webhook_message WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND deliveries = 0;
