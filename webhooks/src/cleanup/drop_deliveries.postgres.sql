-- Deletes expired deliveries. $1: deliveries; $2: end of the period to drop (exclusive). A delivery that was reopened
-- since it was found has no finished_at and stays.
DELETE FROM webhook_delivery WHERE id = ANY ($1) AND finished_at < $2
RETURNING id, webhook_id, message_id, state;
