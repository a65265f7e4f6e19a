-- Sequence of the newest event, 0 for an empty log.
SELECT coalesce(max(sequence), 0) FROM event;
