-- Reads the checkpoint of the buyer side's projection.
SELECT epoch, position, event_id, generation
  FROM projection
 WHERE name = 'buyer';
