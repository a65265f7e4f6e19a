-- Gives up the lease on deliveries that were not called. $1: JSON array of deliveries in hex; $2: lease.
UPDATE webhook_delivery SET lease = NULL, leased_until = NULL
 WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND lease = $2;
