-- Holds an endpoint while its breaker is half open and one call probes it. $1: endpoint; $2: end of the hold.
UPDATE webhook SET held_until = $2 WHERE id = $1;
