-- Sets a dead event aside. $1: sequence. $2: subject. $3: reason. $4: headers as JSON. $5: body.
INSERT INTO dead_event (sequence, subject, reason, headers, body, repaired)
VALUES ($1, $2, $3, $4, $5, FALSE);
