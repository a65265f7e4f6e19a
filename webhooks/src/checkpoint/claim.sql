-- Claims what lies up to a sequence, so that settings which are committed later begin behind it. $1: sequence.
UPDATE webhook_fanout
   SET claimed = $1
 WHERE claimed < $1;
