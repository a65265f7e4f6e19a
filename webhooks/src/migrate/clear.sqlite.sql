-- Empties the tables of webhooks in the buyer side's file, in the order of their references.
DELETE FROM buyer.webhook_attempt;
DELETE FROM buyer.webhook_delivery;
DELETE FROM buyer.webhook_message;
DELETE FROM buyer.webhook_count;
DELETE FROM buyer.webhook;
