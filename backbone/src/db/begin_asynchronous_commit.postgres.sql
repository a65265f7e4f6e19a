-- Begins a transaction that reaches rows by their indexes (see begin_by_index) and whose commit does not wait for the
-- disk.
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL jit = off;
SET LOCAL plan_cache_mode = force_generic_plan;
SET LOCAL synchronous_commit = off;
