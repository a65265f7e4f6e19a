-- Extends leases that still hold. $1: JSON array of [delivery in hex, lease in hex]; $2: new end of the leases.
UPDATE webhook_delivery AS d SET leased_until = $2
  FROM json_each($1) AS leased
 WHERE d.id = unhex(leased.value ->> 0) AND d.lease = unhex(leased.value ->> 1);
