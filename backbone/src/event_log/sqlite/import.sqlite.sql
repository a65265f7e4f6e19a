-- Stores a message at its sequence. $1: sequence. $2: id, or NULL. $3: id to use if there is no $2 or another message
-- has it. $4: subject. $5: headers as JSON. $6: body.
INSERT INTO event (sequence, id, subject, headers, body)
SELECT $1, CASE WHEN $2 IS NULL OR EXISTS (SELECT 1 FROM event WHERE id = $2) THEN $3 ELSE $2 END, $4, $5, $6;
