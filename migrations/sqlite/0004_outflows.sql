-- What left an address of ours. Only commits that move the cursor of its chain write it.
CREATE TABLE outflows (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE,
    order_id TEXT REFERENCES orders (id),
    chain TEXT NOT NULL REFERENCES chains (name),
    height INTEGER NOT NULL CHECK (height >= 0),
    block_hash TEXT NOT NULL CHECK (length(block_hash) = 66),
    time INTEGER NOT NULL,
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    sender TEXT NOT NULL CHECK (length(sender) = 42),
    receiver TEXT NOT NULL CHECK (length(receiver) = 42),
    raw TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    state TEXT NOT NULL CHECK (state IN ('pending', 'waiting', 'booked', 'orphaned')),
    explained TEXT CHECK (explained IN ('treasury', 'fee', 'refund', 'destroyed')),
    round INTEGER NOT NULL CHECK (round > 0),
    CHECK (explained IS NULL OR state IN ('waiting', 'booked'))
) STRICT;
CREATE INDEX outflows_by_height ON outflows (chain, height);
CREATE INDEX outflows_pending ON outflows (chain) WHERE state = 'pending';
CREATE INDEX outflows_waiting ON outflows (sender) WHERE state = 'waiting';
CREATE INDEX outflows_of_order ON outflows (order_id);
CREATE INDEX outflows_by_sender ON outflows (sender);

CREATE TRIGGER outflows_stay BEFORE DELETE ON outflows
BEGIN SELECT RAISE(ABORT, 'outflows: no row is deleted'); END;
CREATE TRIGGER outflows_keep BEFORE UPDATE OF seq, id, order_id, chain ON outflows
BEGIN SELECT RAISE(ABORT, 'outflows: who an outflow is does not change'); END;
-- What was transferred changes where a reorg mines it again, which begins another round.
CREATE TRIGGER outflows_value BEFORE UPDATE OF sender, receiver, raw, block_hash ON outflows
WHEN NEW.round = OLD.round AND (NEW.sender <> OLD.sender OR NEW.receiver <> OLD.receiver
    OR NEW.raw <> OLD.raw OR NEW.block_hash <> OLD.block_hash)
BEGIN SELECT RAISE(ABORT, 'outflows: what left changes with its round alone'); END;
-- What is booked stays so until its block is gone, and then begins another round.
CREATE TRIGGER outflows_states BEFORE UPDATE ON outflows
WHEN NEW.round < OLD.round OR NEW.round > OLD.round + 1 OR (NEW.round = OLD.round AND (
    (OLD.state = 'orphaned' AND NEW.state <> 'orphaned')
    OR (OLD.state = 'booked' AND NEW.state NOT IN ('booked', 'orphaned'))
    OR (OLD.state = 'booked' AND NEW.state = 'booked'
        AND NEW.amount <> OLD.amount)
    OR (OLD.state = 'waiting' AND NEW.state = 'pending')))
BEGIN SELECT RAISE(ABORT, 'outflows: a state does not go back'); END;

-- Why nobody needs to ask stays said. That one was sent for a refund may be recorded afterwards.
CREATE TRIGGER outflows_explained BEFORE UPDATE OF explained ON outflows
WHEN NEW.round = OLD.round AND OLD.state = 'booked' AND NEW.state = 'booked'
    AND NEW.explained IS NOT OLD.explained
    AND NOT (OLD.explained IS NULL AND NEW.explained = 'refund' AND EXISTS (
        SELECT 1 FROM case_steps AS s JOIN cases AS c ON c.seq = s.case_seq
        WHERE s.word = 'sent' AND s.tx = substr(OLD.id, length(OLD.chain) + 2, 66)
        AND c.chain = OLD.chain AND c.refund_to = OLD.receiver))
BEGIN SELECT RAISE(ABORT, 'outflows: an explanation does not change'); END;
