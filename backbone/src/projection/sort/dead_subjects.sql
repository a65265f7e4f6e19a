-- Subjects with dead events that wait for a repair, and those some events of which were given up.
SELECT DISTINCT subject, discarded FROM dead_event WHERE NOT repaired OR discarded;
