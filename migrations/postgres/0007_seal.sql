-- The seal on SQLite alone is another one: here it updates the balances that are known, and a bound
-- is a CHECK of the row as it is written.
SELECT 1;
