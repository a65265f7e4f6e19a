-- Deletes dead events. $1: JSON array of {sequence}.
DELETE FROM dead_event WHERE sequence IN (SELECT value ->> 'sequence' FROM json_each($1));
