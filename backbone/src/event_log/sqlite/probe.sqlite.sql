-- Writes a page without a change, to find out whether the file can be written.
PRAGMA user_version = 0;
