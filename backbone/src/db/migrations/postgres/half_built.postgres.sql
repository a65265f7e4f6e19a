-- Indexes that an interrupted build left behind: they cost every write and serve no query.
SELECT c.relname::text
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relnamespace = current_schema()::regnamespace;
