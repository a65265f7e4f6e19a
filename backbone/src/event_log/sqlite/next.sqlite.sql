-- Reads the first event of a subject after a sequence. $1: subject. $2: sequence.
SELECT sequence, subject, headers, body FROM event
 WHERE subject = $1 AND sequence > $2 ORDER BY sequence LIMIT 1;
