-- Pauses an endpoint. $1: endpoint.
UPDATE webhook SET state = 'PAUSED', disabled_reason = NULL WHERE id = $1;
