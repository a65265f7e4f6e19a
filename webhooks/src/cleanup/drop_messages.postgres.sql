-- Deletes those of the messages that no delivery uses. $1: messages.
DELETE FROM webhook_message WHERE id = ANY ($1) AND deliveries = 0;
