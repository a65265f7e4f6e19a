-- Deletes the oldest changes up to the horizon. $1: most rows.
DELETE FROM feed
 WHERE rowid IN (
       SELECT rowid
         FROM feed
        WHERE sequence <= (SELECT sequence FROM feed_horizon)
        ORDER BY sequence, change_index
        LIMIT $1);
