-- Name of the database.
SELECT current_database()::text;
