-- The books on PostgreSQL. What each table is for: migrations/README.md.
-- Times are milliseconds since 1970 (UTC), amounts are millionths, hashes and addresses are
-- lower-case hex with 0x.

-- One row: the numbers given out so far, and how far the ledger and the events are sealed.
-- A commit raises `journals` and `events`, writes exactly those rows, and seals them: the deferred
-- key refuses a commit that was announced and not sealed.
CREATE TABLE counters (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    orders BIGINT NOT NULL,
    addresses BIGINT NOT NULL,
    deposits BIGINT NOT NULL,
    cases BIGINT NOT NULL,
    journals BIGINT NOT NULL,
    events BIGINT NOT NULL,
    sealed_journals BIGINT NOT NULL,
    sealed_events BIGINT NOT NULL,
    UNIQUE (sealed_journals, sealed_events),
    FOREIGN KEY (journals, events) REFERENCES counters (sealed_journals, sealed_events)
        DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE chains (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    finalized_height BIGINT CHECK (finalized_height >= 0),
    finalized_hash TEXT COLLATE "C" CHECK (length(finalized_hash) = 66),
    safe_height BIGINT CHECK (safe_height >= 0),
    paused TEXT COLLATE "C",
    stalled TEXT COLLATE "C",
    recent TEXT COLLATE "C" NOT NULL DEFAULT ';;',
    CHECK ((finalized_height IS NULL) = (finalized_hash IS NULL))
);

-- Each choice of a person by which a chain follows another branch, also below what was final.
CREATE TABLE adoptions (
    chain TEXT COLLATE "C" NOT NULL REFERENCES chains (name),
    generation BIGINT NOT NULL,
    base_height BIGINT NOT NULL CHECK (base_height >= 0),
    base_hash TEXT COLLATE "C" NOT NULL CHECK (length(base_hash) = 66),
    named_height BIGINT NOT NULL CHECK (named_height > base_height),
    named_hash TEXT COLLATE "C" NOT NULL CHECK (length(named_hash) = 66),
    lost_height BIGINT,
    lost_hash TEXT COLLATE "C" CHECK (length(lost_hash) = 66),
    decided_by TEXT COLLATE "C" NOT NULL CHECK (length(decided_by) > 0),
    why TEXT COLLATE "C" NOT NULL CHECK (length(why) > 0),
    at BIGINT NOT NULL,
    PRIMARY KEY (chain, generation)
);

CREATE TABLE headers (
    chain TEXT COLLATE "C" NOT NULL REFERENCES chains (name),
    height BIGINT NOT NULL CHECK (height >= 0),
    hash TEXT COLLATE "C" NOT NULL CHECK (length(hash) = 66),
    parent TEXT COLLATE "C" NOT NULL CHECK (length(parent) = 66),
    time BIGINT NOT NULL,
    PRIMARY KEY (chain, height)
);

CREATE TABLE pins (
    chain TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    chain_id TEXT COLLATE "C" NOT NULL,
    genesis TEXT COLLATE "C" NOT NULL,
    token TEXT COLLATE "C" NOT NULL CHECK (length(token) = 42),
    decimals BIGINT NOT NULL CHECK (decimals BETWEEN 0 AND 255)
);

CREATE TABLE orders (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number > 0),
    id TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
    customer TEXT COLLATE "C" NOT NULL CHECK (length(customer) BETWEEN 1 AND 64),
    chain TEXT COLLATE "C" NOT NULL,
    due BIGINT CHECK (due > 0),
    price TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    address TEXT COLLATE "C" NOT NULL CHECK (length(address) = 42),
    address_index BIGINT CHECK (address_index BETWEEN 0 AND 4294967295),
    refund_to TEXT COLLATE "C" CHECK (length(refund_to) = 42),
    terms TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C"
        CHECK (strpos(metadata, chr(30)) = 0 AND strpos(metadata, chr(31)) = 0),
    version BIGINT NOT NULL CHECK (version >= 0),
    paid BIGINT,
    expired BIGINT,
    cancelled BIGINT
);
CREATE INDEX orders_by_customer ON orders (customer, number);
CREATE INDEX orders_to_expire ON orders (chain, expires_at)
    WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL;

CREATE TABLE addresses (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    address TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(address) = 42),
    order_id TEXT COLLATE "C" REFERENCES orders (id),
    derivation_index BIGINT CHECK (derivation_index BETWEEN 0 AND 4294967295),
    taken BIGINT NOT NULL CHECK (taken IN (0, 1))
);
CREATE INDEX addresses_to_take ON addresses (seq) WHERE taken = 0;

CREATE TABLE derivations (
    xpub TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    next BIGINT NOT NULL CHECK (next BETWEEN 1 AND 2147483648)
);

CREATE TABLE deposits (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C" REFERENCES orders (id),
    chain TEXT COLLATE "C" NOT NULL,
    height BIGINT NOT NULL CHECK (height >= 0),
    block_hash TEXT COLLATE "C" NOT NULL CHECK (length(block_hash) = 66),
    time BIGINT NOT NULL,
    log_index BIGINT NOT NULL CHECK (log_index >= 0),
    sender TEXT COLLATE "C" NOT NULL CHECK (length(sender) = 42),
    receiver TEXT COLLATE "C" NOT NULL CHECK (length(receiver) = 42),
    raw TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    state TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C",
    late BIGINT NOT NULL CHECK (late IN (0, 1)),
    assigned_by TEXT COLLATE "C",
    CHECK ((state = 'suspended') = (kind IS NOT NULL))
);
-- A receiver belongs to one order for ever, so an id is unique among the deposits of its order:
-- that key is written where the order's other rows are, one of the id alone anywhere at all. The
-- id alone leads to a deposit through its journal, or here where it may have none.
CREATE UNIQUE INDEX deposits_of_order ON deposits (order_id, id);
CREATE UNIQUE INDEX deposits_unassigned ON deposits (id) WHERE order_id IS NULL;
CREATE INDEX deposits_by_id ON deposits (id)
    WHERE state NOT IN ('confirmed', 'credited') OR amount = 0;
CREATE INDEX deposits_by_height ON deposits (chain, height);
CREATE INDEX deposits_pending ON deposits (chain) WHERE state = 'pending';
CREATE INDEX deposits_unassigned_to ON deposits (receiver) WHERE order_id IS NULL;
CREATE INDEX deposits_assigned ON deposits (id) WHERE assigned_by IS NOT NULL;

CREATE TABLE cases (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    kind TEXT COLLATE "C" NOT NULL,
    order_id TEXT COLLATE "C" REFERENCES orders (id),
    chain TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    opened_at BIGINT NOT NULL,
    resolution TEXT COLLATE "C",
    refund_to TEXT COLLATE "C" CHECK (length(refund_to) = 42),
    fee BIGINT CHECK (fee >= 0),
    reassigned_to TEXT COLLATE "C",
    decided_by TEXT COLLATE "C",
    why TEXT COLLATE "C",
    decided_at BIGINT,
    refund TEXT COLLATE "C" CHECK (refund IN ('requested', 'sent', 'verified', 'failed')),
    CHECK ((resolution IS NULL) = (decided_at IS NULL)),
    CHECK ((coalesce(resolution, '') = 'refund') = (refund IS NOT NULL)),
    CHECK ((refund IS NOT NULL) = (refund_to IS NOT NULL AND fee IS NOT NULL))
);
CREATE INDEX cases_of_order ON cases (order_id);
CREATE INDEX cases_open ON cases (seq) WHERE resolution IS NULL;
CREATE INDEX cases_refund ON cases (refund, seq) WHERE refund IS NOT NULL;

CREATE TABLE case_deposits (
    case_seq BIGINT NOT NULL REFERENCES cases (seq),
    place BIGINT NOT NULL,
    deposit BIGINT NOT NULL REFERENCES deposits (seq),
    PRIMARY KEY (case_seq, place)
);
CREATE INDEX cases_of_deposit ON case_deposits (deposit);

-- What was proposed about a case, and what became of its refund. `paid_by` is the transfer that
-- pays a refund, `chain:tx:n`: no transfer pays two.
CREATE TABLE case_steps (
    case_seq BIGINT NOT NULL REFERENCES cases (seq),
    place BIGINT NOT NULL CHECK (place > 0),
    word TEXT COLLATE "C" NOT NULL
        CHECK (word IN ('proposed', 'withdrawn', 'sent', 'verified', 'failed')),
    step_by TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    step_at BIGINT NOT NULL,
    resolution TEXT COLLATE "C",
    refund_to TEXT COLLATE "C" CHECK (length(refund_to) = 42),
    fee BIGINT CHECK (fee >= 0),
    reassigned_to TEXT COLLATE "C",
    tx TEXT COLLATE "C" CHECK (length(tx) = 66),
    paid_by TEXT COLLATE "C" UNIQUE,
    PRIMARY KEY (case_seq, place),
    CHECK ((word = 'proposed') = (resolution IS NOT NULL)),
    CHECK ((word IN ('sent', 'verified', 'failed')) = (tx IS NOT NULL)),
    CHECK ((word = 'verified') = (paid_by IS NOT NULL))
);
-- Which refund an outflow paid.
CREATE INDEX case_steps_sent ON case_steps (tx) WHERE word = 'sent';

-- `lines` is how many entries the journal has; the seal counts them.
CREATE TABLE journals (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    order_id TEXT COLLATE "C",
    deposit BIGINT,
    effective BIGINT NOT NULL,
    recorded BIGINT NOT NULL,
    remainder BIGINT NOT NULL CHECK (remainder >= 0),
    lines BIGINT NOT NULL CHECK (lines > 0)
);
CREATE INDEX journals_of_order ON journals (order_id);
CREATE INDEX journals_unassigned ON journals (deposit) WHERE order_id IS NULL;

CREATE TABLE entries (
    journal BIGINT NOT NULL,
    line BIGINT NOT NULL CHECK (line >= 0),
    asset TEXT COLLATE "C" NOT NULL,
    debit TEXT COLLATE "C" NOT NULL,
    credit TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    PRIMARY KEY (journal, line),
    CHECK (debit <> credit),
    CONSTRAINT accounts_of_the_asset CHECK (CASE
        WHEN asset = 'CREDIT' THEN
            (debit = 'issued' AND credit > 'customer:' AND credit < 'customer;')
            OR (credit = 'issued' AND debit > 'customer:' AND debit < 'customer;')
        WHEN asset > 'USDT.' AND asset < 'USDT/' THEN
            CASE
                WHEN debit > 'order:' AND debit < 'order;' THEN TRUE
                WHEN debit = 'sales' THEN TRUE
                WHEN debit > 'custody:' AND debit < 'custody;' THEN
                    substr(debit, 9, length(asset) - 2) = substr(asset, 6) || ':0x'
                    AND length(debit) = length(asset) + 46
                WHEN debit > 'suspense:' AND debit < 'suspense;' THEN TRUE
                WHEN debit > 'treasury:' AND debit < 'treasury;' THEN
                    debit = 'treasury:' || substr(asset, 6)
                ELSE debit = 'dust' OR debit = 'refunds_payable' OR debit = 'fees'
                    OR debit = 'kept'
                    OR debit = 'lost'
            END
            AND CASE
                WHEN credit > 'order:' AND credit < 'order;' THEN TRUE
                WHEN credit = 'sales' THEN TRUE
                WHEN credit > 'custody:' AND credit < 'custody;' THEN
                    substr(credit, 9, length(asset) - 2) = substr(asset, 6) || ':0x'
                    AND length(credit) = length(asset) + 46
                WHEN credit > 'suspense:' AND credit < 'suspense;' THEN TRUE
                WHEN credit > 'treasury:' AND credit < 'treasury;' THEN
                    credit = 'treasury:' || substr(asset, 6)
                ELSE credit = 'dust' OR credit = 'refunds_payable' OR credit = 'fees'
                    OR credit = 'kept'
                    OR credit = 'lost'
            END
        ELSE FALSE
    END)
);
-- The account of an order is found through its journals, what came to an address through its
-- owner; sales and issued are in nearly every journal. The rest is found here.
CREATE INDEX entries_by_debit ON entries (debit, journal)
    WHERE NOT (debit > 'order:' AND debit < 'order;')
        AND NOT (debit > 'custody:' AND debit < 'custody;') AND debit <> 'sales'
        AND debit <> 'issued';
CREATE INDEX entries_by_credit ON entries (credit, journal)
    WHERE NOT (credit > 'order:' AND credit < 'order;') AND credit <> 'sales'
        AND credit <> 'issued';

CREATE TABLE balances (
    account TEXT COLLATE "C" NOT NULL,
    asset TEXT COLLATE "C" NOT NULL,
    debits BIGINT NOT NULL CHECK (debits >= 0),
    credits BIGINT NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (account, asset),
    CONSTRAINT bounds CHECK (CASE
        WHEN account > 'order:' AND account < 'order;' THEN credits >= debits
        WHEN account > 'custody:' AND account < 'custody;' THEN debits >= credits
        WHEN account > 'suspense:' AND account < 'suspense;' THEN credits >= debits
        WHEN account = 'refunds_payable' OR account = 'dust' THEN credits >= debits
        ELSE TRUE
    END)
);

CREATE TABLE events (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    kind TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    chain TEXT COLLATE "C",
    order_id TEXT COLLATE "C",
    deposit BIGINT,
    case_id TEXT COLLATE "C",
    data TEXT COLLATE "C" NOT NULL
);

-- Nothing is taken out of the books.
CREATE FUNCTION refuse_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: no row is deleted', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER counters_stay BEFORE DELETE OR TRUNCATE ON counters
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER chains_stay BEFORE DELETE OR TRUNCATE ON chains
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER pins_stay BEFORE DELETE OR TRUNCATE ON pins
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER orders_stay BEFORE DELETE OR TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER addresses_stay BEFORE DELETE OR TRUNCATE ON addresses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER derivations_stay BEFORE DELETE OR TRUNCATE ON derivations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER deposits_stay BEFORE DELETE OR TRUNCATE ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER cases_stay BEFORE DELETE OR TRUNCATE ON cases
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER case_steps_stay BEFORE DELETE OR TRUNCATE ON case_steps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER case_steps_keep BEFORE UPDATE ON case_steps
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE TRIGGER journals_stay BEFORE DELETE OR TRUNCATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER entries_stay BEFORE DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER events_stay BEFORE DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER balances_stay BEFORE DELETE OR TRUNCATE ON balances
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER pins_keep BEFORE UPDATE ON pins
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE TRIGGER journals_keep BEFORE UPDATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE TRIGGER entries_keep BEFORE UPDATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE TRIGGER events_keep BEFORE UPDATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');

-- What may change of a row that may change.
CREATE TRIGGER chains_begin BEFORE INSERT ON chains
    FOR EACH ROW WHEN (NEW.generation <> 0)
    EXECUTE FUNCTION refuse_change('a cursor begins at generation 0');
CREATE FUNCTION refuse_fall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name <> OLD.name OR NEW.generation <> OLD.generation + 1 OR NOT EXISTS (
        SELECT 1 FROM adoptions
        WHERE chain = OLD.name AND generation = OLD.generation
            AND base_height = NEW.finalized_height AND base_hash = NEW.finalized_hash
    ) THEN
        RAISE EXCEPTION '%: a cursor rises by one generation and its finality never falls',
            TG_TABLE_NAME USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chains_keep BEFORE UPDATE ON chains
    FOR EACH ROW WHEN (NEW.name <> OLD.name OR NEW.generation <> OLD.generation + 1
        OR coalesce(NEW.finalized_height, -1) < coalesce(OLD.finalized_height, -1))
    EXECUTE FUNCTION refuse_fall();
-- A choice is recorded by the commit that follows it, about a chain that is paused and no other.
CREATE FUNCTION refuse_adoption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM chains
        WHERE name = NEW.chain AND generation = NEW.generation AND paused IS NOT NULL
            AND finalized_height IS NOT DISTINCT FROM NEW.lost_height
            AND finalized_hash IS NOT DISTINCT FROM NEW.lost_hash
    ) THEN
        RAISE EXCEPTION '%: only a paused chain follows another branch', TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER adoptions_begin BEFORE INSERT ON adoptions
    FOR EACH ROW EXECUTE FUNCTION refuse_adoption();
CREATE TRIGGER adoptions_stay BEFORE DELETE OR TRUNCATE ON adoptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER adoptions_keep BEFORE UPDATE ON adoptions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE TRIGGER orders_keep BEFORE UPDATE OF number, id, customer, chain, due, price, created_at,
    expires_at, address, address_index, refund_to, terms, metadata ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('the terms of an order are frozen');
CREATE TRIGGER orders_begin BEFORE INSERT ON orders
    FOR EACH ROW WHEN (NEW.version <> 0)
    EXECUTE FUNCTION refuse_change('an order begins at version 0');
CREATE TRIGGER orders_rise BEFORE UPDATE ON orders
    FOR EACH ROW WHEN (NEW.version <> OLD.version + 1)
    EXECUTE FUNCTION refuse_change('every change raises the version by one');
CREATE TRIGGER addresses_keep BEFORE UPDATE ON addresses
    FOR EACH ROW WHEN (NEW.seq <> OLD.seq OR NEW.address <> OLD.address
        OR NEW.derivation_index IS DISTINCT FROM OLD.derivation_index OR NEW.taken < OLD.taken
        OR (OLD.order_id IS NOT NULL AND NEW.order_id IS DISTINCT FROM OLD.order_id))
    EXECUTE FUNCTION refuse_change('an address belongs to one order for ever');
CREATE TRIGGER derivations_rise BEFORE UPDATE ON derivations
    FOR EACH ROW WHEN (NEW.xpub <> OLD.xpub OR NEW.next <= OLD.next)
    EXECUTE FUNCTION refuse_change('an index never goes back');
CREATE TRIGGER deposits_keep BEFORE UPDATE OF seq, id, order_id, chain ON deposits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('who a deposit is does not change');
-- A transaction that is mined again may move another value: a swap at another price.
CREATE TRIGGER deposits_value BEFORE UPDATE OF sender, receiver, raw, amount ON deposits
    FOR EACH ROW WHEN (NEW.block_hash = OLD.block_hash AND (NEW.sender <> OLD.sender
        OR NEW.receiver <> OLD.receiver OR NEW.raw <> OLD.raw OR NEW.amount <> OLD.amount))
    EXECUTE FUNCTION refuse_change('what was transferred changes with its block alone');
CREATE TRIGGER cases_keep BEFORE UPDATE OF seq, id, kind, order_id, chain, opened_at ON cases
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('what a case is about does not change');
CREATE TRIGGER cases_decided BEFORE UPDATE ON cases
    FOR EACH ROW WHEN (OLD.resolution IS NOT NULL
        AND (NEW.resolution IS DISTINCT FROM OLD.resolution OR NEW.amount <> OLD.amount
        OR NEW.refund_to IS DISTINCT FROM OLD.refund_to OR NEW.fee IS DISTINCT FROM OLD.fee
        OR NEW.reassigned_to IS DISTINCT FROM OLD.reassigned_to
        OR NEW.decided_by IS DISTINCT FROM OLD.decided_by OR NEW.why IS DISTINCT FROM OLD.why
        OR NEW.decided_at IS DISTINCT FROM OLD.decided_at
        OR (OLD.refund = 'verified' AND NEW.refund <> 'verified')))
    EXECUTE FUNCTION refuse_change('what was decided does not change');
CREATE TRIGGER deposits_assigned BEFORE UPDATE ON deposits
    FOR EACH ROW WHEN (NEW.assigned_by IS DISTINCT FROM OLD.assigned_by)
    EXECUTE FUNCTION refuse_change('who a deposit is does not change');

-- Rows of the ledger and of the events are written between the announcement and the seal.
CREATE FUNCTION journals_announced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM counters WHERE
        (SELECT min(seq) FROM fresh) <= sealed_journals OR (SELECT max(seq) FROM fresh) > journals;
    IF FOUND THEN
        RAISE EXCEPTION 'journals: this sequence number was not announced'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER journals_announced AFTER INSERT ON journals REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION journals_announced();
CREATE FUNCTION entries_announced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM counters WHERE (SELECT min(journal) FROM fresh) <= sealed_journals
        OR (SELECT max(journal) FROM fresh) > journals;
    IF FOUND THEN
        RAISE EXCEPTION 'entries: this journal is not of the running commit'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_announced AFTER INSERT ON entries REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION entries_announced();
CREATE FUNCTION events_announced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM counters WHERE
        (SELECT min(seq) FROM fresh) <= sealed_events OR (SELECT max(seq) FROM fresh) > events;
    IF FOUND THEN
        RAISE EXCEPTION 'events: this sequence number was not announced'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER events_announced AFTER INSERT ON events REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION events_announced();

-- The seal writes from within its own trigger, anybody else from outside of one.
CREATE FUNCTION balances_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'balances: written by the seal alone' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER balances_sealed BEFORE INSERT OR UPDATE ON balances
    FOR EACH STATEMENT EXECUTE FUNCTION balances_sealed();

CREATE TRIGGER counters_rise BEFORE UPDATE ON counters
    FOR EACH ROW WHEN (NEW.one <> OLD.one OR NEW.orders < OLD.orders
        OR NEW.addresses < OLD.addresses OR NEW.deposits < OLD.deposits OR NEW.cases < OLD.cases
        OR NEW.journals < OLD.journals OR NEW.events < OLD.events
        OR NEW.sealed_journals < OLD.sealed_journals OR NEW.sealed_events < OLD.sealed_events)
    EXECUTE FUNCTION refuse_change('no number is given out twice');
CREATE TRIGGER counters_announce BEFORE UPDATE OF journals, events ON counters
    FOR EACH ROW WHEN (OLD.journals <> OLD.sealed_journals OR OLD.events <> OLD.sealed_events)
    EXECUTE FUNCTION refuse_change('the announced rows are not sealed');

-- The seal: what was announced is there, whole, and goes into the balances. Its plans are made
-- for the few newest rows, whatever the statistics say of the tables.
CREATE FUNCTION counters_seal() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
    WHERE (account, asset) NOT IN (SELECT account, asset FROM known)
    ORDER BY account, asset;
    RETURN NULL;
END $$;
CREATE TRIGGER counters_seal AFTER UPDATE OF sealed_journals, sealed_events ON counters
    FOR EACH ROW EXECUTE FUNCTION counters_seal();
