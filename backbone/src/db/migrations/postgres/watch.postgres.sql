-- What the session $1 is doing: no row if it has ended. The phase of the index that it builds with the blocks of that
-- phase, and the sessions that it waits for.
SELECT p.phase, p.blocks_done, p.blocks_total,
       (SELECT string_agg(format('session %s (%s, user %s, in a transaction since %s)', b.pid, b.application_name,
                                 b.usename, to_char(b.xact_start, 'HH24:MI:SS')), ', ' ORDER BY b.pid)
          FROM pg_stat_activity b
         WHERE b.pid = ANY (pg_blocking_pids($1))) AS waits_for
  FROM pg_stat_activity a
  LEFT JOIN pg_stat_progress_create_index p ON p.pid = a.pid
 WHERE a.pid = $1;
