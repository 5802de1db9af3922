-- What the issuer of a chain's token did, as far as it concerns us: paused and unpaused, deprecated,
-- a fee, and of addresses of ours blacklisted, released, destroyed. Only commits that move the
-- cursor of its chain write it. `points` and `raw` are zero where it has no such number. What the
-- contract said when it was asked after a block has that block's hash for its transaction.
CREATE TABLE notices (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT NOT NULL UNIQUE,
    order_id TEXT REFERENCES orders (id),
    chain TEXT NOT NULL REFERENCES chains (name),
    tx TEXT NOT NULL CHECK (length(tx) = 66),
    place INTEGER NOT NULL CHECK (place >= 0),
    what TEXT NOT NULL CHECK (what IN ('paused', 'unpaused', 'deprecated', 'fee', 'blacklisted',
        'released', 'destroyed')),
    address TEXT CHECK (length(address) = 42),
    points INTEGER NOT NULL CHECK (points >= 0),
    raw TEXT NOT NULL,
    height INTEGER NOT NULL CHECK (height >= 0),
    block_hash TEXT NOT NULL CHECK (length(block_hash) = 66),
    time INTEGER NOT NULL,
    log_index INTEGER NOT NULL CHECK (log_index >= 0),
    orphaned INTEGER NOT NULL CHECK (orphaned IN (0, 1)),
    round INTEGER NOT NULL CHECK (round > 0),
    CHECK ((what IN ('deprecated', 'blacklisted', 'released', 'destroyed'))
        = (address IS NOT NULL))
) STRICT;
CREATE INDEX notices_by_height ON notices (chain, height);
CREATE INDEX notices_by_address ON notices (address) WHERE address IS NOT NULL;
CREATE INDEX notices_by_tx ON notices (tx);

CREATE TRIGGER notices_stay BEFORE DELETE ON notices
BEGIN SELECT RAISE(ABORT, 'notices: no row is deleted'); END;
CREATE TRIGGER notices_keep BEFORE UPDATE OF seq, id, order_id, chain, tx, place ON notices
BEGIN SELECT RAISE(ABORT, 'notices: who a notice is does not change'); END;
-- What was said changes where a reorg mines it again, which begins another round.
CREATE TRIGGER notices_value BEFORE UPDATE ON notices
WHEN NEW.round = OLD.round AND (NEW.what <> OLD.what OR NEW.address IS NOT OLD.address
    OR NEW.points <> OLD.points OR NEW.raw <> OLD.raw OR NEW.height <> OLD.height
    OR NEW.block_hash <> OLD.block_hash OR NEW.time <> OLD.time
    OR NEW.log_index <> OLD.log_index OR NEW.orphaned < OLD.orphaned)
BEGIN SELECT RAISE(ABORT, 'notices: what was said changes with its round alone'); END;
CREATE TRIGGER notices_rounds BEFORE UPDATE ON notices
WHEN NEW.round <> OLD.round
    AND (NEW.round <> OLD.round + 1 OR NEW.orphaned = 1
        OR (OLD.orphaned = 0 AND NEW.block_hash = OLD.block_hash))
BEGIN SELECT RAISE(ABORT, 'notices: only what is gone is mined again'); END;
