-- Run once, when the volume is empty. `dealwire migrate` makes the tables.
CREATE DATABASE seller;
CREATE DATABASE buyer;
