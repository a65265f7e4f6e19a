-- Deletes dead events. $1: JSON array of {sequence}.
DELETE FROM dead_event WHERE sequence IN (SELECT sequence FROM jsonb_to_recordset($1) AS gone (sequence bigint));
