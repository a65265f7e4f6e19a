-- Reads the time of a block's newest change. $1: first sequence of the block; $2: its last.
-- The next change after an empty block stands in for its own; no row when there is neither.
SELECT occurred_at
  FROM ((SELECT 1 AS choice, occurred_at
           FROM feed
          WHERE sequence BETWEEN $1 AND $2
          ORDER BY sequence DESC, change_index DESC
          LIMIT 1)
        UNION ALL
        (SELECT 2, occurred_at
           FROM feed
          WHERE sequence > $2
          ORDER BY sequence, change_index
          LIMIT 1)) AS found
 ORDER BY choice
 LIMIT 1;
