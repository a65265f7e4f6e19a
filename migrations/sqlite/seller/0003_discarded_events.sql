-- What an operator gave up: such a subject goes on with its next event, whatever revision that has. These events count
-- as repaired too, as binaries of before this column see them. Booleans are 0 or 1.
ALTER TABLE dead_event ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
CREATE INDEX dead_event_discarded ON dead_event (subject) WHERE discarded;
