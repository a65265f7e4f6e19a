-- Reads the newest event of a subject. $1: subject.
SELECT sequence, subject, headers, body FROM event WHERE subject = $1 ORDER BY sequence DESC LIMIT 1;
