-- Gives the fan-out another log. $1: its epoch; $2: sequence to go on after; $3: epoch of the log before.
UPDATE webhook_fanout
   SET epoch = $1, sequence = $2, change_index = 65535, webhook_id = NULL, claimed = $2
 WHERE epoch = $3;
