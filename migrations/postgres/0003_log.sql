-- The log of journals: a hash tree (RFC 9162) whose leaf n - 1 is journal n. Of it the books keep
-- what is needed to append, and the head after each commit. A commit gives its new peaks and root
-- with the seal; the head is written by the seal, and told with the last event of the commit.
-- Books that are made whole in one transaction have a row of `counters` still to be checked.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE counters ADD COLUMN log_peaks TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE counters ADD COLUMN log_root TEXT COLLATE "C" NOT NULL
    DEFAULT 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

CREATE TABLE tree_heads (
    size BIGINT NOT NULL PRIMARY KEY CHECK (size > 0),
    root TEXT COLLATE "C" NOT NULL CHECK (length(root) = 64),
    event BIGINT NOT NULL
);
CREATE INDEX tree_heads_of_event ON tree_heads (event);

CREATE TRIGGER tree_heads_stay BEFORE DELETE OR TRUNCATE ON tree_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER tree_heads_keep BEFORE UPDATE ON tree_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('no row is changed');
CREATE FUNCTION tree_heads_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'tree_heads: written by the seal alone' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tree_heads_sealed BEFORE INSERT ON tree_heads
    FOR EACH STATEMENT EXECUTE FUNCTION tree_heads_sealed();
CREATE TRIGGER counters_log BEFORE UPDATE OF log_peaks, log_root ON counters
    FOR EACH ROW WHEN (NEW.sealed_journals = OLD.sealed_journals
        AND (NEW.log_peaks <> OLD.log_peaks OR NEW.log_root <> OLD.log_root))
    EXECUTE FUNCTION refuse_change('the log grows with the journals alone');
CREATE FUNCTION counters_head() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tree_heads (size, root, event)
    VALUES (NEW.sealed_journals, NEW.log_root, NEW.sealed_events);
    RETURN NULL;
END $$;
CREATE TRIGGER counters_head AFTER UPDATE OF sealed_journals ON counters
    FOR EACH ROW WHEN (NEW.sealed_journals > OLD.sealed_journals)
    EXECUTE FUNCTION counters_head();
