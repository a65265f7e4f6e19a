-- Lets the transaction replace a whole table, and read the log in between. A process that is stopped within it holds up
-- the projection for as long.
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = '30s';
