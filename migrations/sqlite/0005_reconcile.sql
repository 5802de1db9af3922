-- Reconciliations: which ran, what they read of the chains so far, what they found.

CREATE TABLE runs (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    began INTEGER NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done')),
    ended INTEGER,
    as_of INTEGER,
    ledger_seq INTEGER CHECK (ledger_seq >= 0),
    code INTEGER CHECK (code BETWEEN 0 AND 255),
    summary TEXT,
    CHECK ((state = 'done') = (ended IS NOT NULL))
) STRICT;
CREATE TRIGGER runs_stay BEFORE DELETE ON runs
BEGIN SELECT RAISE(ABORT, 'runs: no row is deleted'); END;
CREATE TRIGGER runs_keep BEFORE UPDATE ON runs
WHEN OLD.state = 'done' OR NEW.seq <> OLD.seq OR NEW.began <> OLD.began
BEGIN SELECT RAISE(ABORT, 'runs: what has ended is not changed'); END;

-- Kept while a run is under way, so that it can be resumed.
CREATE TABLE evidence (
    run INTEGER NOT NULL REFERENCES runs (seq),
    chain TEXT NOT NULL,
    piece TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, chain, piece)
) STRICT, WITHOUT ROWID;

CREATE TABLE discrepancies (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 64),
    code TEXT NOT NULL,
    key TEXT NOT NULL,
    chain TEXT,
    order_id TEXT,
    deposit TEXT,
    case_id TEXT,
    amount TEXT NOT NULL,
    since INTEGER,
    severity TEXT NOT NULL,
    what TEXT NOT NULL,
    first_run INTEGER NOT NULL REFERENCES runs (seq),
    first_as_of INTEGER NOT NULL,
    last_run INTEGER NOT NULL REFERENCES runs (seq),
    last_as_of INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved', 'gone')),
    at_severity TEXT,
    at_amount TEXT,
    marked_by TEXT,
    why TEXT,
    marked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX discrepancies_open ON discrepancies (state, code, key);
CREATE TRIGGER discrepancies_stay BEFORE DELETE ON discrepancies
BEGIN SELECT RAISE(ABORT, 'discrepancies: no row is deleted'); END;
CREATE TRIGGER discrepancies_keep BEFORE UPDATE OF id, code, key, first_run, first_as_of
ON discrepancies
BEGIN SELECT RAISE(ABORT, 'discrepancies: what it is does not change'); END;

-- What each run found, so that two of them can be compared.
CREATE TABLE sightings (
    id TEXT NOT NULL REFERENCES discrepancies (id),
    run INTEGER NOT NULL REFERENCES runs (seq),
    severity TEXT NOT NULL,
    amount TEXT NOT NULL,
    what TEXT NOT NULL,
    PRIMARY KEY (id, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX sightings_of_run ON sightings (run);
CREATE TRIGGER sightings_stay BEFORE DELETE ON sightings
BEGIN SELECT RAISE(ABORT, 'sightings: no row is deleted'); END;
CREATE TRIGGER sightings_keep BEFORE UPDATE ON sightings
BEGIN SELECT RAISE(ABORT, 'sightings: no row is changed'); END;

-- What people said of a discrepancy, in the order in which they did.
CREATE TABLE marks (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL REFERENCES discrepancies (id),
    state TEXT NOT NULL CHECK (state IN ('acknowledged', 'resolved')),
    severity TEXT NOT NULL,
    marked_by TEXT NOT NULL,
    why TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX marks_of_discrepancy ON marks (id);
CREATE TRIGGER marks_stay BEFORE DELETE ON marks
BEGIN SELECT RAISE(ABORT, 'marks: no row is deleted'); END;
CREATE TRIGGER marks_keep BEFORE UPDATE ON marks
BEGIN SELECT RAISE(ABORT, 'marks: no row is changed'); END;

-- One row: through which event the billing service has acknowledged what it was told, and the
-- newest head of the log that it was told with them.
CREATE TABLE acknowledged (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    through INTEGER NOT NULL CHECK (through >= 0),
    size INTEGER CHECK (size > 0),
    root TEXT CHECK (length(root) = 64),
    CHECK ((size IS NULL) = (root IS NULL))
) STRICT;
INSERT INTO acknowledged (one, through) VALUES (1, 0);
CREATE TRIGGER acknowledged_stay BEFORE DELETE ON acknowledged
BEGIN SELECT RAISE(ABORT, 'acknowledged: no row is deleted'); END;
CREATE TRIGGER acknowledged_rise BEFORE UPDATE ON acknowledged
WHEN NEW.one <> OLD.one OR NEW.through < OLD.through
BEGIN SELECT RAISE(ABORT, 'acknowledged: an acknowledgement does not go back'); END;

-- The story of an order, or of a deposit that nobody owns, is told without reading all events. Most
-- are about a deposit: its number grows with theirs, so that index is written at its end.
CREATE INDEX events_of_deposit ON events (deposit) WHERE deposit IS NOT NULL;
CREATE INDEX events_of_order ON events (order_id) WHERE order_id IS NOT NULL AND deposit IS NULL;
-- Cases about what left an address of nobody's.
CREATE INDEX events_of_case ON events (case_id)
    WHERE case_id IS NOT NULL AND order_id IS NULL AND deposit IS NULL;
