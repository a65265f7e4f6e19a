-- Drops changes that are not compared. $1: sequence of the last.
DELETE FROM feed WHERE sequence <= $1;
