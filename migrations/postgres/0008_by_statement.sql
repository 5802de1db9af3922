-- What guards many rows looks at them once a statement, and a row that is paid for stays where it is.

-- Orders that may still expire, in the order in which they do: written with the orders alone. An
-- index of `orders` that knew what became of them would have to be written, and with it every other
-- one, whenever an order changes; without it the new row goes beside the old one, into no index.
CREATE TABLE expiries (
    chain TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (chain, expires_at, number)
);
INSERT INTO expiries (chain, expires_at, number)
SELECT chain, expires_at, number FROM orders
WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL;
DROP INDEX orders_to_expire;
ALTER TABLE orders SET (fillfactor = 50);

CREATE FUNCTION orders_expire() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM expiries USING fresh
        WHERE expiries.chain = fresh.chain AND expiries.expires_at = fresh.expires_at
            AND expiries.number = fresh.number AND (fresh.paid IS NOT NULL
                OR fresh.expired IS NOT NULL OR fresh.cancelled IS NOT NULL);
    END IF;
    -- A reorg may take back what became of an order.
    INSERT INTO expiries (chain, expires_at, number)
    SELECT chain, expires_at, number FROM fresh
    WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER orders_expire AFTER INSERT ON orders REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION orders_expire();
CREATE TRIGGER orders_expire_or_not AFTER UPDATE ON orders REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION orders_expire();
CREATE FUNCTION expiries_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'expiries: written with the orders alone'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER expiries_kept BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON expiries
    FOR EACH STATEMENT EXECUTE FUNCTION expiries_kept();

-- A foreign key asks for one row after the other and locks each. Neither an order nor its id ever
-- goes, so whether there is such an order is all that has to be asked.
ALTER TABLE deposits DROP CONSTRAINT deposits_order_id_fkey;
CREATE FUNCTION deposits_owned() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM fresh WHERE order_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.id = fresh.order_id)) THEN
        RAISE EXCEPTION 'deposits: there is no such order'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER deposits_owned AFTER INSERT ON deposits REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION deposits_owned();

-- What is sealed has no gap, so a number up to there is taken: only one beyond what was announced
-- has to be looked for, and the highest is known without a look at the rows.
DROP TRIGGER journals_announced ON journals;
CREATE OR REPLACE FUNCTION journals_announced() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT max(seq) FROM journals) > (SELECT journals FROM counters) THEN
        RAISE EXCEPTION 'journals: this sequence number was not announced'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER journals_announced AFTER INSERT ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION journals_announced();
DROP TRIGGER events_announced ON events;
CREATE OR REPLACE FUNCTION events_announced() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
    IF (SELECT max(seq) FROM events) > (SELECT events FROM counters) THEN
        RAISE EXCEPTION 'events: this sequence number was not announced'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER events_announced AFTER INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_announced();

-- sum() of BIGINT is a NUMERIC; this one stays an integer, and refuses what does not fit.
CREATE AGGREGATE total(BIGINT) (SFUNC = int8pl, STYPE = BIGINT, INITCOND = '0');

-- The seal: what was announced is there, whole, and goes into the balances. Each table is gone over
-- once. Its plans are made for the few newest rows, whatever the statistics say of the tables.
CREATE OR REPLACE FUNCTION counters_seal() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    there BIGINT;
    promised BIGINT;
    fitting BIGINT;
    taking BIGINT;
    problem TEXT;
BEGIN
    SELECT count(*), total(lines) INTO there, promised
    FROM journals WHERE seq > OLD.sealed_journals AND seq <= NEW.journals;
    SELECT count(*), count(*) FILTER (WHERE entries.debit > 'customer:'
            AND entries.debit < 'customer;' AND journals.key NOT BETWEEN 'reverse:' AND 'reverse;')
    INTO fitting, taking
    FROM entries JOIN journals ON journals.seq = entries.journal
    WHERE entries.journal > OLD.sealed_journals AND entries.journal <= NEW.journals
        AND journals.seq > OLD.sealed_journals AND journals.seq <= NEW.journals
        AND entries.line < journals.lines;
    IF NEW.sealed_journals <> NEW.journals OR NEW.sealed_events <> NEW.events THEN
        problem := 'it seals everything that was announced';
    ELSIF there <> NEW.journals - OLD.sealed_journals THEN
        problem := 'an announced journal is missing';
    ELSIF (SELECT count(*) FROM events WHERE seq > OLD.sealed_events AND seq <= NEW.events)
        <> NEW.events - OLD.sealed_events THEN
        problem := 'an announced event is missing';
    ELSIF fitting <> promised OR promised <> (SELECT count(*) FROM entries
            WHERE journal > OLD.sealed_journals AND journal <= NEW.journals) THEN
        problem := 'a journal lacks an entry or has one too many';
    ELSIF taking > 0 THEN
        problem := 'only a reversal debits a customer';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'seal: %', problem USING ERRCODE = 'check_violation';
    END IF;
    MERGE INTO balances USING (
        SELECT account, asset, total(debits) AS debits, total(credits) AS credits
        FROM (
            SELECT debit AS account, asset, amount AS debits, 0::BIGINT AS credits
            FROM entries WHERE journal > OLD.sealed_journals AND journal <= NEW.journals
            UNION ALL
            SELECT credit, asset, 0::BIGINT, amount
            FROM entries WHERE journal > OLD.sealed_journals AND journal <= NEW.journals
        ) AS sides
        GROUP BY account, asset
        ORDER BY account, asset
    ) AS fresh ON balances.account = fresh.account AND balances.asset = fresh.asset
    WHEN MATCHED THEN UPDATE
        SET debits = balances.debits + fresh.debits, credits = balances.credits + fresh.credits
    WHEN NOT MATCHED THEN INSERT (account, asset, debits, credits)
        VALUES (fresh.account, fresh.asset, fresh.debits, fresh.credits);
    RETURN NULL;
END $$;
