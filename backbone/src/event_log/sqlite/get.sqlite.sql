-- Reads the event at a sequence. $1: sequence.
SELECT sequence, subject, headers, body FROM event WHERE sequence = $1;
