-- Writes the changes of a batch. $1: JSON array of {sequence, index, seller, body, at}.
INSERT INTO feed (sequence, change_index, seller_id, body, occurred_at)
SELECT value ->> 'sequence', value ->> 'index', unhex(value ->> 'seller'), value ->> 'body', value ->> 'at'
  FROM json_each($1);
