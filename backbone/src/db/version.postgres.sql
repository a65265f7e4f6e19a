-- Engine and version, for operators.
SELECT 'PostgreSQL ' || current_setting('server_version');
