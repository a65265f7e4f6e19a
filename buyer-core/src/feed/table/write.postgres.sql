-- Writes the changes of a batch. $1: sequences; $2: indexes; $3: sellers; $4: bodies; $5: times; $6: traces or null.
INSERT INTO feed (sequence, change_index, seller_id, body, occurred_at, trace)
SELECT sequence, change_index, seller_id, body, occurred_at, trace
  FROM unnest($1::bigint[], $2::smallint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[])
       AS new (sequence, change_index, seller_id, body, occurred_at, trace);
