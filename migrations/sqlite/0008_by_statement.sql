-- On PostgreSQL alone: triggers of SQLite are of rows, and it writes those indexes alone whose rows
-- are other ones.
SELECT 1;
