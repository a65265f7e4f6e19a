-- Adds to the counts of endpoints. $1: JSON array of [endpoint, pending, delivered, dead, discarded].
UPDATE webhook_count AS c
   SET owed = c.owed + (d.value ->> 1) + (d.value ->> 2) + (d.value ->> 3) + (d.value ->> 4),
       pending = c.pending + (d.value ->> 1),
       delivered = c.delivered + (d.value ->> 2),
       dead = c.dead + (d.value ->> 3),
       discarded = c.discarded + (d.value ->> 4)
  FROM json_each($1) AS d
 WHERE c.webhook_id = unhex(d.value ->> 0);
