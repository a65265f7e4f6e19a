-- Stores an event if its subject's last event is the expected one and its id is new; returns its sequence.
-- $1: id. $2: subject. $3: headers as JSON. $4: body. $5: expected sequence, 0 for an empty subject.
INSERT INTO event (id, subject, headers, body)
SELECT $1, $2, $3, $4
 WHERE $5 = (SELECT coalesce(max(sequence), 0) FROM event WHERE subject = $2)
   AND NOT EXISTS (SELECT 1 FROM event WHERE id = $1)
RETURNING sequence;
