-- What left an address of ours. Only commits that move the cursor of its chain write it.
CREATE TABLE outflows (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    order_id TEXT COLLATE "C" REFERENCES orders (id),
    chain TEXT COLLATE "C" NOT NULL REFERENCES chains (name),
    height BIGINT NOT NULL CHECK (height >= 0),
    block_hash TEXT COLLATE "C" NOT NULL CHECK (length(block_hash) = 66),
    time BIGINT NOT NULL,
    log_index BIGINT NOT NULL CHECK (log_index >= 0),
    sender TEXT COLLATE "C" NOT NULL CHECK (length(sender) = 42),
    receiver TEXT COLLATE "C" NOT NULL CHECK (length(receiver) = 42),
    raw TEXT COLLATE "C" NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'waiting', 'booked', 'orphaned')),
    explained TEXT COLLATE "C" CHECK (explained IN ('treasury', 'fee', 'refund', 'destroyed')),
    round BIGINT NOT NULL CHECK (round > 0),
    CHECK (explained IS NULL OR state IN ('waiting', 'booked'))
);
CREATE INDEX outflows_by_height ON outflows (chain, height);
CREATE INDEX outflows_pending ON outflows (chain) WHERE state = 'pending';
CREATE INDEX outflows_waiting ON outflows (sender) WHERE state = 'waiting';
CREATE INDEX outflows_of_order ON outflows (order_id);
CREATE INDEX outflows_by_sender ON outflows (sender);

CREATE TRIGGER outflows_stay BEFORE DELETE OR TRUNCATE ON outflows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER outflows_keep BEFORE UPDATE OF seq, id, order_id, chain ON outflows
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('who an outflow is does not change');
-- What was transferred changes where a reorg mines it again, which begins another round.
CREATE TRIGGER outflows_value BEFORE UPDATE OF sender, receiver, raw, block_hash ON outflows
    FOR EACH ROW WHEN (NEW.round = OLD.round AND (NEW.sender <> OLD.sender
        OR NEW.receiver <> OLD.receiver OR NEW.raw <> OLD.raw
        OR NEW.block_hash <> OLD.block_hash))
    EXECUTE FUNCTION refuse_change('what left changes with its round alone');
-- What is booked stays so until its block is gone, and then begins another round.
CREATE TRIGGER outflows_states BEFORE UPDATE ON outflows
    FOR EACH ROW WHEN (NEW.round < OLD.round OR NEW.round > OLD.round + 1
        OR (NEW.round = OLD.round AND (
            (OLD.state = 'orphaned' AND NEW.state <> 'orphaned')
            OR (OLD.state = 'booked' AND NEW.state NOT IN ('booked', 'orphaned'))
            OR (OLD.state = 'booked' AND NEW.state = 'booked'
                AND NEW.amount <> OLD.amount)
            OR (OLD.state = 'waiting' AND NEW.state = 'pending'))))
    EXECUTE FUNCTION refuse_change('a state does not go back');

-- Why nobody needs to ask stays said. That one was sent for a refund may be recorded afterwards.
CREATE FUNCTION outflow_explained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.explained IS NOT NULL OR NEW.explained IS DISTINCT FROM 'refund' OR NOT EXISTS (
        SELECT 1 FROM case_steps AS s JOIN cases AS c ON c.seq = s.case_seq
        WHERE s.word = 'sent' AND s.tx = substr(OLD.id, length(OLD.chain) + 2, 66)
        AND c.chain = OLD.chain AND c.refund_to = OLD.receiver) THEN
        RAISE EXCEPTION 'outflows: an explanation does not change';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outflows_explained BEFORE UPDATE OF explained ON outflows
    FOR EACH ROW WHEN (NEW.round = OLD.round AND OLD.state = 'booked' AND NEW.state = 'booked'
        AND NEW.explained IS DISTINCT FROM OLD.explained)
    EXECUTE FUNCTION outflow_explained();
