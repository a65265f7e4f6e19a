-- Adds deliveries that wait to be opened. $1: replay; $2: JSON array of [delivery in hex, deal in hex or null, epoch,
-- sequence, index, end].
INSERT INTO webhook_replay_delivery (replay_id, delivery_id, deal_id, epoch, sequence, change_index, stage, finished_at)
SELECT $1, unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, 'WAITING', value ->> 5
  FROM json_each($2);
