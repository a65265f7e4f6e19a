-- Adds deliveries that wait to be opened. $1: replay; $2: deliveries; $3: deals or null; $4, $5, $6: places; $7: ends.
INSERT INTO webhook_replay_delivery (replay_id, delivery_id, deal_id, epoch, sequence, change_index, stage, finished_at)
SELECT $1, delivery_id, deal_id, epoch, sequence, change_index, 'WAITING', finished_at
  FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::int[], $7::timestamptz[])
       AS new (delivery_id, deal_id, epoch, sequence, change_index, finished_at);
