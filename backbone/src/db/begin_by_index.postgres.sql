-- Begins a transaction that reaches rows by their indexes. Plans are generic: where the only way is an index,
-- arguments change no plan. A scan that remains counts as very expensive, which is no reason to compile the statement.
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL jit = off;
SET LOCAL plan_cache_mode = force_generic_plan;
