-- Replaces an endpoint's secret; the old one keeps signing for a while. $1: buyer; $2: endpoint; $3: sealed new secret;
-- $4: time until which the old secret signs as well.
UPDATE webhook SET previous_secret = secret, previous_secret_until = $4, secret = $3
 WHERE id = $2 AND buyer_id = $1 AND deleted_at IS NULL;
