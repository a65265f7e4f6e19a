-- Begins a transaction that reads from one snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
