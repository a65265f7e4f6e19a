-- Notes subjects whose rows differ. $1: JSON array of {name, subject}.
INSERT INTO difference (name, subject)
SELECT value ->> 'name', value ->> 'subject' FROM json_each($1) WHERE TRUE
ON CONFLICT DO NOTHING;
