-- Drops the changes after a sequence. $1: the sequence.
DELETE FROM feed WHERE sequence > $1;
