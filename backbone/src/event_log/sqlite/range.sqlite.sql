-- Reads events after a sequence, in order. $1: sequence. $2: largest number of events.
SELECT sequence, subject, headers, body FROM event WHERE sequence > $1 ORDER BY sequence LIMIT $2;
