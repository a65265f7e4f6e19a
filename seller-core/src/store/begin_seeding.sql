-- Marks an example market as begun, unless it was before. $1: name of the example.
INSERT INTO seeding (name, done)
VALUES ($1, FALSE)
    ON CONFLICT (name) DO NOTHING;
