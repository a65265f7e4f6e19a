-- Reads the path of the database file.
SELECT file
  FROM pragma_database_list
 WHERE name = 'main';
