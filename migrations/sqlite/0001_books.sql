-- The books on SQLite. What each table is for: migrations/README.md.
-- Times are milliseconds since 1970 (UTC), amounts are millionths, hashes and addresses are
-- lower-case hex with 0x.

-- One row: the numbers given out so far, and how far the ledger and the events are sealed.
-- A commit raises `journals` and `events`, writes exactly those rows, and seals them: the deferred
-- key refuses a commit that was announced and not sealed.
CREATE TABLE counters (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    orders INTEGER NOT NULL,
    addresses INTEGER NOT NULL,
    deposits INTEGER NOT NULL,
    cases INTEGER NOT NULL,
    journals INTEGER NOT NULL,
    events INTEGER NOT NULL,
    sealed_journals INTEGER NOT NULL,
    sealed_events INTEGER NOT NULL,
    sealing INTEGER NOT NULL,
    UNIQUE (sealed_journals, sealed_events),
    FOREIGN KEY (journals, events) REFERENCES counters (sealed_journals, sealed_events)
        DEFERRABLE INITIALLY DEFERRED
) STRICT;
INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE chains (
    name TEXT NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    finalized_height INTEGER CHECK (finalized_height >= 0),
    finalized_hash TEXT CHECK (length(finalized_hash) = 66),
    safe_height INTEGER CHECK (safe_height >= 0),
    paused TEXT,
    stalled TEXT,
    recent TEXT NOT NULL DEFAULT ';;',
    CHECK ((finalized_height IS NULL) = (finalized_hash IS NULL))
) STRICT, WITHOUT ROWID;

-- Each choice of a person by which a chain follows another branch, also below what was final.
CREATE TABLE adoptions (
    chain TEXT NOT NULL REFERENCES chains (name),
    generation INTEGER NOT NULL,
    base_height INTEGER NOT NULL CHECK (base_height >= 0),
    base_hash TEXT NOT NULL CHECK (length(base_hash) = 66),
    named_height INTEGER NOT NULL CHECK (named_height > base_height),
    named_hash TEXT NOT NULL CHECK (length(named_hash) = 66),
    lost_height INTEGER,
    lost_hash TEXT CHECK (length(lost_hash) = 66),
    decided_by TEXT NOT NULL CHECK (length(decided_by) > 0),
    why TEXT NOT NULL CHECK (length(why) > 0),
    at INTEGER NOT NULL,
    PRIMARY KEY (chain, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE headers (
    chain TEXT NOT NULL REFERENCES chains (name),
    height INTEGER NOT NULL CHECK (height >= 0),
    hash TEXT NOT NULL CHECK (length(hash) = 66),
    parent TEXT NOT NULL CHECK (length(parent) = 66),
    time INTEGER NOT NULL,
    PRIMARY KEY (chain, height)
) STRICT, WITHOUT ROWID;

CREATE TABLE pins (
    chain TEXT NOT NULL PRIMARY KEY,
    chain_id TEXT NOT NULL,
    genesis TEXT NOT NULL,
    token TEXT NOT NULL CHECK (length(token) = 42),
    decimals INTEGER NOT NULL CHECK (decimals BETWEEN 0 AND 255)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    number INTEGER NOT NULL PRIMARY KEY CHECK (number > 0),
    id TEXT NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 64),
    customer TEXT NOT NULL CHECK (length(customer) BETWEEN 1 AND 64),
    chain TEXT NOT NULL,
    due INTEGER CHECK (due > 0),
    price TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    address TEXT NOT NULL CHECK (length(address) = 42),
    address_index INTEGER CHECK (address_index BETWEEN 0 AND 4294967295),
    refund_to TEXT CHECK (length(refund_to) = 42),
    terms TEXT NOT NULL,
    metadata TEXT CHECK (instr(metadata, char(30)) = 0 AND instr(metadata, char(31)) = 0),
    version INTEGER NOT NULL CHECK (version >= 0),
    paid INTEGER,
    expired INTEGER,
    cancelled INTEGER
) STRICT;
CREATE INDEX orders_by_customer ON orders (customer, number);
CREATE INDEX orders_to_expire ON orders (chain, expires_at)
    WHERE paid IS NULL AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL;

CREATE TABLE addresses (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    address TEXT NOT NULL UNIQUE CHECK (length(address) = 42),
    order_id TEXT REFERENCES orders (id),
    derivation_index INTEGER CHECK (derivation_index BETWEEN 0 AND 4294967295),
    taken INTEGER NOT NULL CHECK (taken IN (0, 1))
) STRICT;
CREATE INDEX addresses_to_take ON addresses (seq) WHERE taken = 0;

CREATE TABLE derivations (
    xpub TEXT NOT NULL PRIMARY KEY,
    next INTEGER NOT NULL CHECK (next BETWEEN 1 AND 2147483648)
) STRICT, WITHOUT ROWID;

CREATE TABLE deposits (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL,
    order_id TEXT REFERENCES orders (id),
    chain TEXT NOT NULL,
    height INTEGER NOT NULL CHECK (height >= 0),
    block_hash TEXT NOT NULL CHECK (length(block_hash) = 66),
    time INTEGER NOT NULL,
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    sender TEXT NOT NULL CHECK (length(sender) = 42),
    receiver TEXT NOT NULL CHECK (length(receiver) = 42),
    raw TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    state TEXT NOT NULL,
    kind TEXT,
    late INTEGER NOT NULL CHECK (late IN (0, 1)),
    assigned_by TEXT,
    CHECK ((state = 'suspended') = (kind IS NOT NULL))
) STRICT;
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
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    order_id TEXT REFERENCES orders (id),
    chain TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    opened_at INTEGER NOT NULL,
    resolution TEXT,
    refund_to TEXT CHECK (length(refund_to) = 42),
    fee INTEGER CHECK (fee >= 0),
    reassigned_to TEXT,
    decided_by TEXT,
    why TEXT,
    decided_at INTEGER,
    refund TEXT CHECK (refund IN ('requested', 'sent', 'verified', 'failed')),
    CHECK ((resolution IS NULL) = (decided_at IS NULL)),
    CHECK ((coalesce(resolution, '') = 'refund') = (refund IS NOT NULL)),
    CHECK ((refund IS NOT NULL) = (refund_to IS NOT NULL AND fee IS NOT NULL))
) STRICT;
CREATE INDEX cases_of_order ON cases (order_id);
CREATE INDEX cases_open ON cases (seq) WHERE resolution IS NULL;
CREATE INDEX cases_refund ON cases (refund, seq) WHERE refund IS NOT NULL;

CREATE TABLE case_deposits (
    case_seq INTEGER NOT NULL REFERENCES cases (seq),
    place INTEGER NOT NULL,
    deposit INTEGER NOT NULL REFERENCES deposits (seq),
    PRIMARY KEY (case_seq, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_of_deposit ON case_deposits (deposit);

-- What was proposed about a case, and what became of its refund. `paid_by` is the transfer that
-- pays a refund, `chain:tx:n`: no transfer pays two.
CREATE TABLE case_steps (
    case_seq INTEGER NOT NULL REFERENCES cases (seq),
    place INTEGER NOT NULL CHECK (place > 0),
    word TEXT NOT NULL
        CHECK (word IN ('proposed', 'withdrawn', 'sent', 'verified', 'failed')),
    step_by TEXT NOT NULL,
    why TEXT NOT NULL,
    step_at INTEGER NOT NULL,
    resolution TEXT,
    refund_to TEXT CHECK (length(refund_to) = 42),
    fee INTEGER CHECK (fee >= 0),
    reassigned_to TEXT,
    tx TEXT CHECK (length(tx) = 66),
    paid_by TEXT UNIQUE,
    PRIMARY KEY (case_seq, place),
    CHECK ((word = 'proposed') = (resolution IS NOT NULL)),
    CHECK ((word IN ('sent', 'verified', 'failed')) = (tx IS NOT NULL)),
    CHECK ((word = 'verified') = (paid_by IS NOT NULL))
) STRICT, WITHOUT ROWID;
-- Which refund an outflow paid.
CREATE INDEX case_steps_sent ON case_steps (tx) WHERE word = 'sent';

-- `lines` is how many entries the journal has; the seal counts them.
CREATE TABLE journals (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    key TEXT NOT NULL UNIQUE,
    order_id TEXT,
    deposit INTEGER,
    effective INTEGER NOT NULL,
    recorded INTEGER NOT NULL,
    remainder INTEGER NOT NULL CHECK (remainder >= 0),
    lines INTEGER NOT NULL CHECK (lines > 0)
) STRICT;
CREATE INDEX journals_of_order ON journals (order_id);
CREATE INDEX journals_unassigned ON journals (deposit) WHERE order_id IS NULL;

CREATE TABLE entries (
    journal INTEGER NOT NULL,
    line INTEGER NOT NULL CHECK (line >= 0),
    asset TEXT NOT NULL,
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
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
) STRICT, WITHOUT ROWID;
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
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    debits INTEGER NOT NULL CHECK (debits >= 0),
    credits INTEGER NOT NULL CHECK (credits >= 0),
    PRIMARY KEY (account, asset),
    CONSTRAINT bounds CHECK (CASE
        WHEN account > 'order:' AND account < 'order;' THEN credits >= debits
        WHEN account > 'custody:' AND account < 'custody;' THEN debits >= credits
        WHEN account > 'suspense:' AND account < 'suspense;' THEN credits >= debits
        WHEN account = 'refunds_payable' OR account = 'dust' THEN credits >= debits
        ELSE TRUE
    END)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    chain TEXT,
    order_id TEXT,
    deposit INTEGER,
    case_id TEXT,
    data TEXT NOT NULL
) STRICT;

-- Nothing is taken out of the books.
CREATE TRIGGER counters_stay BEFORE DELETE ON counters
BEGIN SELECT RAISE(ABORT, 'counters: no row is deleted'); END;
CREATE TRIGGER chains_stay BEFORE DELETE ON chains
BEGIN SELECT RAISE(ABORT, 'chains: no row is deleted'); END;
CREATE TRIGGER pins_stay BEFORE DELETE ON pins
BEGIN SELECT RAISE(ABORT, 'pins: no row is deleted'); END;
CREATE TRIGGER pins_keep BEFORE UPDATE ON pins
BEGIN SELECT RAISE(ABORT, 'pins: no row is changed'); END;
CREATE TRIGGER orders_stay BEFORE DELETE ON orders
BEGIN SELECT RAISE(ABORT, 'orders: no row is deleted'); END;
CREATE TRIGGER addresses_stay BEFORE DELETE ON addresses
BEGIN SELECT RAISE(ABORT, 'addresses: no row is deleted'); END;
CREATE TRIGGER derivations_stay BEFORE DELETE ON derivations
BEGIN SELECT RAISE(ABORT, 'derivations: no row is deleted'); END;
CREATE TRIGGER deposits_stay BEFORE DELETE ON deposits
BEGIN SELECT RAISE(ABORT, 'deposits: no row is deleted'); END;
CREATE TRIGGER cases_stay BEFORE DELETE ON cases
BEGIN SELECT RAISE(ABORT, 'cases: no row is deleted'); END;
CREATE TRIGGER case_steps_stay BEFORE DELETE ON case_steps
BEGIN SELECT RAISE(ABORT, 'case_steps: no row is deleted'); END;
CREATE TRIGGER case_steps_keep BEFORE UPDATE ON case_steps
BEGIN SELECT RAISE(ABORT, 'case_steps: no row is changed'); END;
CREATE TRIGGER journals_stay BEFORE DELETE ON journals
BEGIN SELECT RAISE(ABORT, 'journals: no row is deleted'); END;
CREATE TRIGGER journals_keep BEFORE UPDATE ON journals
BEGIN SELECT RAISE(ABORT, 'journals: no row is changed'); END;
CREATE TRIGGER entries_stay BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries: no row is deleted'); END;
CREATE TRIGGER entries_keep BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries: no row is changed'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events: no row is deleted'); END;
CREATE TRIGGER events_keep BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events: no row is changed'); END;
CREATE TRIGGER balances_stay BEFORE DELETE ON balances
BEGIN SELECT RAISE(ABORT, 'balances: no row is deleted'); END;

-- What may change of a row that may change.
CREATE TRIGGER chains_begin BEFORE INSERT ON chains WHEN NEW.generation <> 0
BEGIN SELECT RAISE(ABORT, 'chains: a cursor begins at generation 0'); END;
CREATE TRIGGER chains_keep BEFORE UPDATE ON chains
WHEN NEW.name <> OLD.name OR NEW.generation <> OLD.generation + 1
    OR (coalesce(NEW.finalized_height, -1) < coalesce(OLD.finalized_height, -1)
        AND NOT EXISTS (
            SELECT 1 FROM adoptions
            WHERE chain = OLD.name AND generation = OLD.generation
                AND base_height = NEW.finalized_height AND base_hash = NEW.finalized_hash
        ))
BEGIN
    SELECT RAISE(ABORT, 'chains: a cursor rises by one generation and its finality never falls');
END;
-- A choice is recorded by the commit that follows it, about a chain that is paused and no other.
CREATE TRIGGER adoptions_begin BEFORE INSERT ON adoptions
WHEN NOT EXISTS (
    SELECT 1 FROM chains
    WHERE name = NEW.chain AND generation = NEW.generation AND paused IS NOT NULL
        AND finalized_height IS NEW.lost_height AND finalized_hash IS NEW.lost_hash
)
BEGIN SELECT RAISE(ABORT, 'adoptions: only a paused chain follows another branch'); END;
CREATE TRIGGER adoptions_stay BEFORE DELETE ON adoptions
BEGIN SELECT RAISE(ABORT, 'adoptions: no row is deleted'); END;
CREATE TRIGGER adoptions_keep BEFORE UPDATE ON adoptions
BEGIN SELECT RAISE(ABORT, 'adoptions: no row is changed'); END;
CREATE TRIGGER orders_keep BEFORE UPDATE OF number, id, customer, chain, due, price, created_at,
    expires_at, address, address_index, refund_to, terms, metadata ON orders
BEGIN SELECT RAISE(ABORT, 'orders: the terms of an order are frozen'); END;
CREATE TRIGGER orders_begin BEFORE INSERT ON orders WHEN NEW.version <> 0
BEGIN SELECT RAISE(ABORT, 'orders: an order begins at version 0'); END;
CREATE TRIGGER orders_rise BEFORE UPDATE ON orders WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'orders: every change raises the version by one'); END;
CREATE TRIGGER addresses_keep BEFORE UPDATE ON addresses
WHEN NEW.seq <> OLD.seq OR NEW.address <> OLD.address
    OR NEW.derivation_index IS NOT OLD.derivation_index OR NEW.taken < OLD.taken
    OR (OLD.order_id IS NOT NULL AND NEW.order_id IS NOT OLD.order_id)
BEGIN SELECT RAISE(ABORT, 'addresses: an address belongs to one order for ever'); END;
CREATE TRIGGER derivations_rise BEFORE UPDATE ON derivations
WHEN NEW.xpub <> OLD.xpub OR NEW.next <= OLD.next
BEGIN SELECT RAISE(ABORT, 'derivations: an index never goes back'); END;
CREATE TRIGGER deposits_keep BEFORE UPDATE OF seq, id, order_id, chain ON deposits
BEGIN SELECT RAISE(ABORT, 'deposits: who a deposit is does not change'); END;
-- A transaction that is mined again may move another value: a swap at another price.
CREATE TRIGGER deposits_value BEFORE UPDATE OF sender, receiver, raw, amount ON deposits
WHEN NEW.block_hash = OLD.block_hash AND (NEW.sender <> OLD.sender
    OR NEW.receiver <> OLD.receiver OR NEW.raw <> OLD.raw OR NEW.amount <> OLD.amount)
BEGIN SELECT RAISE(ABORT, 'deposits: what was transferred changes with its block alone'); END;
CREATE TRIGGER cases_keep BEFORE UPDATE OF seq, id, kind, order_id, chain, opened_at ON cases
BEGIN SELECT RAISE(ABORT, 'cases: what a case is about does not change'); END;
CREATE TRIGGER cases_decided BEFORE UPDATE ON cases
WHEN OLD.resolution IS NOT NULL AND (NEW.resolution IS NOT OLD.resolution
    OR NEW.amount <> OLD.amount OR NEW.refund_to IS NOT OLD.refund_to OR NEW.fee IS NOT OLD.fee
    OR NEW.reassigned_to IS NOT OLD.reassigned_to OR NEW.decided_by IS NOT OLD.decided_by
    OR NEW.why IS NOT OLD.why OR NEW.decided_at IS NOT OLD.decided_at
    OR (OLD.refund = 'verified' AND NEW.refund <> 'verified'))
BEGIN SELECT RAISE(ABORT, 'cases: what was decided does not change'); END;
CREATE TRIGGER deposits_assigned BEFORE UPDATE ON deposits
WHEN NEW.assigned_by IS NOT OLD.assigned_by
BEGIN SELECT RAISE(ABORT, 'deposits: who a deposit is does not change'); END;

-- Rows of the ledger and of the events are written between the announcement and the seal.
CREATE TRIGGER journals_announced AFTER INSERT ON journals
WHEN NOT (SELECT NEW.seq > sealed_journals AND NEW.seq <= journals FROM counters)
BEGIN SELECT RAISE(ABORT, 'journals: this sequence number was not announced'); END;
CREATE TRIGGER entries_announced AFTER INSERT ON entries
WHEN NOT (SELECT NEW.journal > sealed_journals AND NEW.journal <= journals FROM counters)
BEGIN SELECT RAISE(ABORT, 'entries: this journal is not of the running commit'); END;
CREATE TRIGGER events_announced AFTER INSERT ON events
WHEN NOT (SELECT NEW.seq > sealed_events AND NEW.seq <= events FROM counters)
BEGIN SELECT RAISE(ABORT, 'events: this sequence number was not announced'); END;

CREATE TRIGGER balances_insert BEFORE INSERT ON balances
WHEN (SELECT sealing FROM counters) = 0
BEGIN SELECT RAISE(ABORT, 'balances: written by the seal alone'); END;
CREATE TRIGGER balances_update BEFORE UPDATE ON balances
WHEN (SELECT sealing FROM counters) = 0
BEGIN SELECT RAISE(ABORT, 'balances: written by the seal alone'); END;

CREATE TRIGGER counters_rise BEFORE UPDATE ON counters
WHEN NEW.one <> OLD.one OR NEW.orders < OLD.orders OR NEW.addresses < OLD.addresses
    OR NEW.deposits < OLD.deposits OR NEW.cases < OLD.cases OR NEW.journals < OLD.journals
    OR NEW.events < OLD.events OR NEW.sealed_journals < OLD.sealed_journals
    OR NEW.sealed_events < OLD.sealed_events
BEGIN SELECT RAISE(ABORT, 'counters: no number is given out twice'); END;
CREATE TRIGGER counters_announce BEFORE UPDATE OF journals, events ON counters
WHEN OLD.journals <> OLD.sealed_journals OR OLD.events <> OLD.sealed_events
BEGIN SELECT RAISE(ABORT, 'counters: the announced rows are not sealed'); END;

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
    SELECT fresh.account, fresh.asset,
        fresh.debits + coalesce(known.debits, 0), fresh.credits + coalesce(known.credits, 0)
    FROM (
        SELECT account, asset, sum(debits) AS debits, sum(credits) AS credits
        FROM (
            SELECT debit AS account, asset, amount AS debits, 0 AS credits
            FROM entries WHERE journal > OLD.sealed_journals
            UNION ALL
            SELECT credit, asset, 0, amount
            FROM entries WHERE journal > OLD.sealed_journals
        )
        GROUP BY account, asset
    ) AS fresh
    LEFT JOIN balances AS known ON known.account = fresh.account AND known.asset = fresh.asset
    WHERE TRUE
    ON CONFLICT (account, asset) DO UPDATE
    SET debits = excluded.debits, credits = excluded.credits;
    UPDATE counters SET sealing = 0;
END;
