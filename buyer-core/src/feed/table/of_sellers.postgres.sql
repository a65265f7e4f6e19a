-- Reads some sellers' changes of a range with the checkpoint and the horizon, from one snapshot.
-- $1: sequence and $2: index before the first; $3: last sequence; $4: most rows; $5: sellers.
-- The lateral join reads at most $4 rows a seller from the index, however many changes of others lie between.
SELECT p.epoch, p.position, p.event_id, p.generation, h.sequence AS horizon,
       f.sequence, f.change_index, f.seller_id, f.body
  FROM projection p
 CROSS JOIN feed_horizon h
  LEFT JOIN (
       SELECT found.sequence, found.change_index, found.seller_id, found.body
         FROM unnest($5::uuid[]) AS wanted (seller_id)
        CROSS JOIN LATERAL (
              SELECT sequence, change_index, feed.seller_id, body
                FROM feed
               WHERE feed.seller_id = wanted.seller_id
                 AND sequence >= $1 AND (sequence, change_index) > ($1, $2) AND sequence <= $3
               ORDER BY sequence, change_index
               LIMIT $4) AS found
        ORDER BY found.sequence, found.change_index
        LIMIT $4) f ON TRUE
 WHERE p.name = 'buyer'
 ORDER BY f.sequence, f.change_index;
