-- Reads and locks the place of the fan-out: until the transaction ends, it claims nothing and no other settings change.
SELECT epoch, sequence, change_index, webhook_id, claimed
  FROM webhook_fanout
   FOR UPDATE;
