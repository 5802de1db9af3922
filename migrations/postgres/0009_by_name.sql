-- What guards the books looks at the books: a temporary table of the same name, which whoever may
-- write can make, would be looked at first where nothing else is said.
SELECT set_config('search_path', CAST(relnamespace::regnamespace AS TEXT) || ', pg_temp', TRUE)
FROM pg_class WHERE oid = 'orders'::regclass;
ALTER FUNCTION refuse_fall() SET search_path FROM CURRENT;
ALTER FUNCTION refuse_adoption() SET search_path FROM CURRENT;
ALTER FUNCTION refuse_return() SET search_path FROM CURRENT;
ALTER FUNCTION outflow_explained() SET search_path FROM CURRENT;
ALTER FUNCTION journals_announced() SET search_path FROM CURRENT;
ALTER FUNCTION entries_announced() SET search_path FROM CURRENT;
ALTER FUNCTION events_announced() SET search_path FROM CURRENT;
ALTER FUNCTION counters_seal() SET search_path FROM CURRENT;
ALTER FUNCTION counters_head() SET search_path FROM CURRENT;
ALTER FUNCTION deposits_owned() SET search_path FROM CURRENT;
ALTER FUNCTION orders_expire() SET search_path FROM CURRENT;

-- The plan for a thousand orders is kept for the one that comes after them, and would go through
-- all that may expire.
ALTER FUNCTION orders_expire() SET enable_hashjoin = off;
ALTER FUNCTION orders_expire() SET enable_mergejoin = off;

-- 0008 made this of what was committed when it began, and may then have waited for more.
DROP TRIGGER expiries_kept ON expiries;
DELETE FROM expiries;
INSERT INTO expiries (chain, expires_at, number)
SELECT chain, expires_at, number FROM orders
WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL;
CREATE TRIGGER expiries_kept BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON expiries
    FOR EACH STATEMENT EXECUTE FUNCTION expiries_kept();
