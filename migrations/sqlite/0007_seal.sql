-- The seal adds to each balance without looking it up before. A bound was a CHECK of the row: one
-- that an upsert proposes, the movements of a commit alone, would not have to be within it. So the
-- bounds are of the row as it is written, and looked at by the triggers that guard it.
-- Nothing is renamed: that would ask every view of the books, and there is no such table meanwhile.
DROP TRIGGER counters_seal;
CREATE TABLE balances_before AS SELECT account, asset, debits, credits FROM balances;
DROP TABLE balances;
CREATE TABLE balances (
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    debits INTEGER NOT NULL CHECK (debits >= 0),
    credits INTEGER NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;
INSERT INTO balances (account, asset, debits, credits)
SELECT account, asset, debits, credits FROM balances_before ORDER BY account, asset;
DROP TABLE balances_before;

CREATE TRIGGER balances_stay BEFORE DELETE ON balances
BEGIN SELECT RAISE(ABORT, 'balances: no row is deleted'); END;
CREATE TRIGGER balances_insert AFTER INSERT ON balances
WHEN (SELECT sealing FROM counters) = 0 OR NOT CASE
        WHEN NEW.account > 'order:' AND NEW.account < 'order;' THEN NEW.credits >= NEW.debits
        WHEN NEW.account > 'custody:' AND NEW.account < 'custody;' THEN NEW.debits >= NEW.credits
        WHEN NEW.account > 'suspense:' AND NEW.account < 'suspense;' THEN NEW.credits >= NEW.debits
        WHEN NEW.account = 'refunds_payable' OR NEW.account = 'dust' THEN NEW.credits >= NEW.debits
        ELSE TRUE
    END
BEGIN
    SELECT RAISE(ABORT, 'balances: written by the seal alone')
    WHERE (SELECT sealing FROM counters) = 0;
    SELECT RAISE(ABORT, 'balances: below zero');
END;
CREATE TRIGGER balances_update AFTER UPDATE ON balances
WHEN (SELECT sealing FROM counters) = 0 OR NOT CASE
        WHEN NEW.account > 'order:' AND NEW.account < 'order;' THEN NEW.credits >= NEW.debits
        WHEN NEW.account > 'custody:' AND NEW.account < 'custody;' THEN NEW.debits >= NEW.credits
        WHEN NEW.account > 'suspense:' AND NEW.account < 'suspense;' THEN NEW.credits >= NEW.debits
        WHEN NEW.account = 'refunds_payable' OR NEW.account = 'dust' THEN NEW.credits >= NEW.debits
        ELSE TRUE
    END
BEGIN
    SELECT RAISE(ABORT, 'balances: written by the seal alone')
    WHERE (SELECT sealing FROM counters) = 0;
    SELECT RAISE(ABORT, 'balances: below zero');
END;

-- The seal: what was announced is there, whole, and goes into the balances.
CREATE TRIGGER counters_seal AFTER UPDATE OF sealed_journals, sealed_events ON counters
BEGIN
    SELECT RAISE(ABORT, 'seal: it seals everything that was announced')
    WHERE NEW.sealed_journals <> NEW.journals OR NEW.sealed_events <> NEW.events;
    SELECT RAISE(ABORT, 'seal: an announced journal is missing')
    WHERE (SELECT count(*) FROM journals WHERE seq > OLD.sealed_journals)
        <> NEW.journals - OLD.sealed_journals;
    SELECT RAISE(ABORT, 'seal: an announced event is missing')
    WHERE (SELECT count(*) FROM events WHERE seq > OLD.sealed_events)
        <> NEW.events - OLD.sealed_events;
    SELECT RAISE(ABORT, 'seal: a journal lacks an entry or has one too many')
    WHERE (SELECT coalesce(sum(lines), 0) FROM journals WHERE seq > OLD.sealed_journals)
        <> (SELECT count(*) FROM entries WHERE journal > OLD.sealed_journals)
        OR EXISTS (
            SELECT 1 FROM entries
            WHERE journal > OLD.sealed_journals
                AND line >= coalesce((SELECT lines FROM journals WHERE seq = entries.journal), 0)
        );
    SELECT RAISE(ABORT, 'seal: only a reversal debits a customer')
    WHERE EXISTS (
        SELECT 1 FROM entries
        WHERE journal > OLD.sealed_journals AND debit > 'customer:' AND debit < 'customer;'
            AND (SELECT key FROM journals WHERE seq = entries.journal)
                NOT BETWEEN 'reverse:' AND 'reverse;'
    );
    UPDATE counters SET sealing = 1;
    INSERT INTO balances (account, asset, debits, credits)
    SELECT account, asset, sum(debits), sum(credits)
    FROM (
        SELECT debit AS account, asset, amount AS debits, 0 AS credits
        FROM entries WHERE journal > OLD.sealed_journals
        UNION ALL
        SELECT credit, asset, 0, amount
        FROM entries WHERE journal > OLD.sealed_journals
    )
    WHERE TRUE
    GROUP BY account, asset
    ON CONFLICT (account, asset) DO UPDATE
    SET debits = debits + excluded.debits, credits = credits + excluded.credits;
    UPDATE counters SET sealing = 0;
END;
