-- Reads the first decision of an operator after a sequence. $1: sequence. '/' is the character after '.'.
SELECT sequence, subject, headers, body FROM event
 WHERE subject > 'decision.' AND subject < 'decision/' AND sequence > $1 ORDER BY sequence LIMIT 1;
