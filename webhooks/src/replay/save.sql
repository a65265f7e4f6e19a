-- Keeps the progress of a replay. $1: replay; $2: state; $3: number sent; $4, $5, $6: place looked through; $7: whether
-- nothing is left to look through; $8: time of the next step; $9: end or null.
UPDATE webhook_replay
   SET state = $2, sent = $3, at_epoch = $4, at_sequence = $5, at_index = $6, exhausted = $7, next_step_at = $8,
       finished_at = $9
 WHERE id = $1;
