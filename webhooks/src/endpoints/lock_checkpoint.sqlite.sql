-- Reads the checkpoint of the buyer side's projection. A transaction that writes is alone in SQLite; no lock is needed.
SELECT epoch, position, event_id, generation FROM projection WHERE name = 'buyer';
