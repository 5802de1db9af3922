-- Reconciliations: which ran, what they read of the chains so far, what they found.

CREATE TABLE runs (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    began BIGINT NOT NULL,
    options TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('running', 'done')),
    ended BIGINT,
    as_of BIGINT,
    ledger_seq BIGINT CHECK (ledger_seq >= 0),
    code BIGINT CHECK (code BETWEEN 0 AND 255),
    summary TEXT COLLATE "C",
    CHECK ((state = 'done') = (ended IS NOT NULL))
);
CREATE TRIGGER runs_stay BEFORE DELETE OR TRUNCATE ON runs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER runs_keep BEFORE UPDATE ON runs
    FOR EACH ROW WHEN (OLD.state = 'done' OR NEW.seq <> OLD.seq OR NEW.began <> OLD.began)
    EXECUTE FUNCTION refuse_change('what has ended is not changed');

-- Kept while a run is under way, so that it can be resumed.
CREATE TABLE evidence (
    run BIGINT NOT NULL REFERENCES runs (seq),
    chain TEXT COLLATE "C" NOT NULL,
    piece TEXT COLLATE "C" NOT NULL,
    body TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, chain, piece)
);

CREATE TABLE discrepancies (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    code TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    chain TEXT COLLATE "C",
    order_id TEXT COLLATE "C",
    deposit TEXT COLLATE "C",
    case_id TEXT COLLATE "C",
    amount TEXT COLLATE "C" NOT NULL,
    since BIGINT,
    severity TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    first_run BIGINT NOT NULL REFERENCES runs (seq),
    first_as_of BIGINT NOT NULL,
    last_run BIGINT NOT NULL REFERENCES runs (seq),
    last_as_of BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('open', 'acknowledged', 'resolved', 'gone')),
    at_severity TEXT COLLATE "C",
    at_amount TEXT COLLATE "C",
    marked_by TEXT COLLATE "C",
    why TEXT COLLATE "C",
    marked_at BIGINT
);
CREATE INDEX discrepancies_open ON discrepancies (state, code, key);
CREATE TRIGGER discrepancies_stay BEFORE DELETE OR TRUNCATE ON discrepancies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER discrepancies_keep BEFORE UPDATE OF id, code, key, first_run, first_as_of
    ON discrepancies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('what it is does not change');

-- What each run found, so that two of them can be compared.
CREATE TABLE sightings (
    id TEXT COLLATE "C" NOT NULL REFERENCES discrepancies (id),
    run BIGINT NOT NULL REFERENCES runs (seq),
    severity TEXT COLLATE "C" NOT NULL,
    amount TEXT COLLATE "C" NOT NULL,
    what TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (id, run)
);
CREATE INDEX sightings_of_run ON sightings (run);
CREATE TRIGGER sightings_stay BEFORE DELETE OR TRUNCATE ON sightings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER sightings_keep BEFORE UPDATE ON sightings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');

-- What people said of a discrepancy, in the order in which they did.
CREATE TABLE marks (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT COLLATE "C" NOT NULL REFERENCES discrepancies (id),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('acknowledged', 'resolved')),
    severity TEXT COLLATE "C" NOT NULL,
    marked_by TEXT COLLATE "C" NOT NULL,
    why TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX marks_of_discrepancy ON marks (id);
CREATE TRIGGER marks_stay BEFORE DELETE OR TRUNCATE ON marks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER marks_keep BEFORE UPDATE ON marks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');

-- One row: through which event the billing service has acknowledged what it was told, and the
-- newest head of the log that it was told with them.
CREATE TABLE acknowledged (
    one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    through BIGINT NOT NULL CHECK (through >= 0),
    size BIGINT CHECK (size > 0),
    root TEXT COLLATE "C" CHECK (length(root) = 64),
    CHECK ((size IS NULL) = (root IS NULL))
);
INSERT INTO acknowledged (one, through) VALUES (1, 0);
CREATE TRIGGER acknowledged_stay BEFORE DELETE OR TRUNCATE ON acknowledged
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER acknowledged_rise BEFORE UPDATE ON acknowledged
    FOR EACH ROW WHEN (NEW.one <> OLD.one OR NEW.through < OLD.through)
    EXECUTE FUNCTION refuse_change('an acknowledgement does not go back');

-- The story of an order, or of a deposit that nobody owns, is told without reading all events. Most
-- are about a deposit: its number grows with theirs, so that index is written at its end.
CREATE INDEX events_of_deposit ON events (deposit) WHERE deposit IS NOT NULL;
CREATE INDEX events_of_order ON events (order_id) WHERE order_id IS NOT NULL AND deposit IS NULL;
-- Cases about what left an address of nobody's.
CREATE INDEX events_of_case ON events (case_id)
    WHERE case_id IS NOT NULL AND order_id IS NULL AND deposit IS NULL;
