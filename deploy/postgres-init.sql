-- PostgreSQL runs this once, when its volume is empty. `dealwire migrate` creates the tables.
CREATE DATABASE seller;
CREATE DATABASE buyer;
