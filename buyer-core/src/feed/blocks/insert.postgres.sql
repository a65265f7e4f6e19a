-- Records a block of the feed. $1: its first sequence; $2: its last.
INSERT INTO feed_block (first, last)
VALUES ($1, $2);
