-- Subjects with dead events that wait for a repair.
SELECT DISTINCT subject FROM dead_event WHERE NOT repaired;
