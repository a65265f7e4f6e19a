-- Gives empty tables the epoch of their log, once. $1: name. $2: epoch.
UPDATE projection SET epoch = $2 WHERE name = $1 AND position = 0 AND epoch = 0;
