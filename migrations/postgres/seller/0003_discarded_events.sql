-- What an operator gave up: such a subject goes on with its next event, whatever revision that has. These events count
-- as repaired too, as binaries of before this column see them.
ALTER TABLE dead_event ADD COLUMN discarded boolean NOT NULL DEFAULT FALSE;
CREATE INDEX dead_event_discarded ON dead_event (subject) WHERE discarded;
