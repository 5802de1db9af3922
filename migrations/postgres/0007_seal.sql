-- The seal adds balances in the order in which it read the old ones: they need not be sorted twice.
CREATE OR REPLACE FUNCTION counters_seal() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    problem TEXT;
BEGIN
    IF NEW.sealed_journals <> NEW.journals OR NEW.sealed_events <> NEW.events THEN
        problem := 'it seals everything that was announced';
    ELSIF (SELECT count(*) FROM journals
            WHERE seq > OLD.sealed_journals AND seq <= NEW.journals)
        <> NEW.journals - OLD.sealed_journals THEN
        problem := 'an announced journal is missing';
    ELSIF (SELECT count(*) FROM events WHERE seq > OLD.sealed_events AND seq <= NEW.events)
        <> NEW.events - OLD.sealed_events THEN
        problem := 'an announced event is missing';
    ELSIF (SELECT coalesce(sum(lines), 0) FROM journals
            WHERE seq > OLD.sealed_journals AND seq <= NEW.journals)
        <> (SELECT count(*) FROM entries JOIN journals ON journals.seq = entries.journal
            WHERE entries.journal > OLD.sealed_journals AND entries.journal <= NEW.journals
                AND journals.seq > OLD.sealed_journals AND journals.seq <= NEW.journals
                AND entries.line < journals.lines)
        OR (SELECT count(*) FROM entries
            WHERE journal > OLD.sealed_journals AND journal <= NEW.journals)
        <> (SELECT coalesce(sum(lines), 0) FROM journals
            WHERE seq > OLD.sealed_journals AND seq <= NEW.journals) THEN
        problem := 'a journal lacks an entry or has one too many';
    ELSIF EXISTS (SELECT 1 FROM entries JOIN journals ON journals.seq = entries.journal
            WHERE entries.journal > OLD.sealed_journals AND entries.journal <= NEW.journals
                AND entries.debit > 'customer:' AND entries.debit < 'customer;'
                AND journals.key NOT BETWEEN 'reverse:' AND 'reverse;') THEN
        problem := 'only a reversal debits a customer';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'seal: %', problem USING ERRCODE = 'check_violation';
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT account, asset, sum(debits)::BIGINT AS debits, sum(credits)::BIGINT AS credits
        FROM (
            SELECT debit AS account, asset, amount AS debits, 0::BIGINT AS credits
            FROM entries WHERE journal > OLD.sealed_journals AND journal <= NEW.journals
            UNION ALL
            SELECT credit, asset, 0::BIGINT, amount
            FROM entries WHERE journal > OLD.sealed_journals AND journal <= NEW.journals
        ) AS sides
        GROUP BY account, asset
        ORDER BY account, asset
    ), known AS (
        UPDATE balances
        SET debits = balances.debits + fresh.debits, credits = balances.credits + fresh.credits
        FROM fresh
        WHERE balances.account = fresh.account AND balances.asset = fresh.asset
        RETURNING balances.account, balances.asset
    )
    INSERT INTO balances (account, asset, debits, credits)
    SELECT account, asset, debits, credits FROM fresh
    WHERE (account, asset) NOT IN (SELECT account, asset FROM known);
    RETURN NULL;
END $$;
