-- The log of journals: a hash tree (RFC 9162) whose leaf n - 1 is journal n. Of it the books keep
-- what is needed to append, and the head after each commit. A commit gives its new peaks and root
-- with the seal; the head is written by the seal, and told with the last event of the commit.
ALTER TABLE counters ADD COLUMN log_peaks TEXT NOT NULL DEFAULT '';
ALTER TABLE counters ADD COLUMN log_root TEXT NOT NULL
    DEFAULT 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

CREATE TABLE tree_heads (
    size INTEGER NOT NULL PRIMARY KEY CHECK (size > 0),
    root TEXT NOT NULL CHECK (length(root) = 64),
    event INTEGER NOT NULL
) STRICT;
CREATE INDEX tree_heads_of_event ON tree_heads (event);

CREATE TRIGGER tree_heads_stay BEFORE DELETE ON tree_heads
BEGIN SELECT RAISE(ABORT, 'tree_heads: no row is deleted'); END;
CREATE TRIGGER tree_heads_keep BEFORE UPDATE ON tree_heads
BEGIN SELECT RAISE(ABORT, 'tree_heads: no row is changed'); END;
CREATE TRIGGER tree_heads_sealed BEFORE INSERT ON tree_heads
WHEN NOT EXISTS (
    SELECT 1 FROM counters
    WHERE NEW.size = sealed_journals AND NEW.root = log_root AND NEW.event = sealed_events
) OR NEW.size <= (SELECT coalesce(max(size), 0) FROM tree_heads)
BEGIN SELECT RAISE(ABORT, 'tree_heads: written by the seal alone'); END;
CREATE TRIGGER counters_log BEFORE UPDATE OF log_peaks, log_root ON counters
WHEN NEW.sealed_journals = OLD.sealed_journals
    AND (NEW.log_peaks <> OLD.log_peaks OR NEW.log_root <> OLD.log_root)
BEGIN SELECT RAISE(ABORT, 'counters: the log grows with the journals alone'); END;
CREATE TRIGGER counters_head AFTER UPDATE OF sealed_journals ON counters
WHEN NEW.sealed_journals > OLD.sealed_journals
BEGIN
    INSERT INTO tree_heads (size, root, event)
    VALUES (NEW.sealed_journals, NEW.log_root, NEW.sealed_events);
END;
