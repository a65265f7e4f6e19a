-- Reads a delivery's state. $1: delivery.
SELECT state FROM webhook_delivery WHERE id = $1;
