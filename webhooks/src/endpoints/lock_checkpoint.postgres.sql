-- Reads and locks the checkpoint of the buyer side's projection: no batch commits until the transaction ends.
SELECT epoch, position, event_id, generation FROM projection WHERE name = 'buyer' FOR UPDATE;
