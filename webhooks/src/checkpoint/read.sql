-- Reads the place of the fan-out.
SELECT epoch, sequence, change_index, webhook_id, claimed
  FROM webhook_fanout;
