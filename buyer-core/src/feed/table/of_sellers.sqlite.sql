-- Reads some sellers' changes of a range with the checkpoint and the horizon, from one snapshot.
-- $1: sequence and $2: index before the first; $3: last sequence; $4: most rows; $5: JSON array of sellers.
-- The subquery reads at most $4 rows a seller from the index, however many changes of others lie between.
SELECT p.epoch, p.position, p.event_id, p.generation, h.sequence AS horizon,
       f.sequence, f.change_index, f.seller_id, f.body
  FROM projection p
 CROSS JOIN feed_horizon h
  LEFT JOIN (
       SELECT feed.sequence, feed.change_index, feed.seller_id, feed.body
         FROM json_each($5) AS wanted
         JOIN feed ON feed.rowid IN (
              SELECT found.rowid
                FROM feed AS found
               WHERE found.seller_id = unhex(wanted.value)
                 AND found.sequence >= $1 AND (found.sequence, found.change_index) > ($1, $2)
                 AND found.sequence <= $3
               ORDER BY found.sequence, found.change_index
               LIMIT $4)
        ORDER BY feed.sequence, feed.change_index
        LIMIT $4) f ON TRUE
 WHERE p.name = 'buyer'
 ORDER BY f.sequence, f.change_index;
