-- Creates the table of subjects whose rows differ, empty.
DROP TABLE IF EXISTS difference;
CREATE TABLE difference (
    name    TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (name, subject)
) STRICT, WITHOUT ROWID;
