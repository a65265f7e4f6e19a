-- Engine and version, for operators. A pooler may drop the settings that sessions ask for when they begin.
SELECT 'PostgreSQL ' || current_setting('server_version')
       || CASE WHEN '0' IN (current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'))
               THEN '; a pooler has dropped statement_timeout or idle_in_transaction_session_timeout: set both for the user'
               ELSE '' END;
