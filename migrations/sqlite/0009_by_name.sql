-- On SQLite a trigger names what is in its own file, and an index knows what may expire.
SELECT 1;
