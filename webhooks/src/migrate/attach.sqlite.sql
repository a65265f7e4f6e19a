-- Makes the buyer side's file part of this connection. $1: path.
ATTACH DATABASE $1 AS buyer;
