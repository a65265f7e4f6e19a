-- Those of these keys that exist and are not revoked. $1: JSON array of SHA-256 in hexadecimal.
SELECT hash FROM api_key
 WHERE hash IN (SELECT unhex(value) FROM json_each($1)) AND revoked_at IS NULL;
