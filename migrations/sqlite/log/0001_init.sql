-- The embedded event log. Rows are never changed and never deleted, so `sequence` has no holes.
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY,
    id       BLOB NOT NULL UNIQUE,
    subject  TEXT NOT NULL,
    headers  TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;

CREATE INDEX event_by_subject ON event (subject, sequence);
