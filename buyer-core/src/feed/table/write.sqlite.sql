-- Writes the changes of a batch. $1: JSON array of {sequence, index, seller, body, at, trace}.
INSERT INTO feed (sequence, change_index, seller_id, body, occurred_at, trace)
SELECT value ->> 'sequence', value ->> 'index', unhex(value ->> 'seller'), value ->> 'body', value ->> 'at',
       value ->> 'trace'
  FROM json_each($1);
