-- Engine and version, for operators.
SELECT 'SQLite ' || sqlite_version();
