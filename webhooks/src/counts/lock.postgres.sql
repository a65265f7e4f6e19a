-- Locks the counts of endpoints, in the order of their ids. $1: endpoints.
SELECT webhook_id
  FROM webhook_count
 WHERE webhook_id = ANY($1)
 ORDER BY webhook_id
   FOR UPDATE;
