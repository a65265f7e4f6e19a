-- Sequence of the event with an id. $1: id.
SELECT sequence FROM event WHERE id = $1;
