-- What the issuer of a chain's token did, as far as it concerns us: paused and unpaused, deprecated,
-- a fee, and of addresses of ours blacklisted, released, destroyed. Only commits that move the
-- cursor of its chain write it. `points` and `raw` are zero where it has no such number. What the
-- contract said when it was asked after a block has that block's hash for its transaction.
CREATE TABLE notices (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    order_id TEXT COLLATE "C" REFERENCES orders (id),
    chain TEXT COLLATE "C" NOT NULL REFERENCES chains (name),
    tx TEXT COLLATE "C" NOT NULL CHECK (length(tx) = 66),
    place BIGINT NOT NULL CHECK (place >= 0),
    what TEXT COLLATE "C" NOT NULL CHECK (what IN ('paused', 'unpaused', 'deprecated', 'fee', 'blacklisted',
        'released', 'destroyed')),
    address TEXT COLLATE "C" CHECK (length(address) = 42),
    points BIGINT NOT NULL CHECK (points >= 0),
    raw TEXT COLLATE "C" NOT NULL,
    height BIGINT NOT NULL CHECK (height >= 0),
    block_hash TEXT COLLATE "C" NOT NULL CHECK (length(block_hash) = 66),
    time BIGINT NOT NULL,
    log_index BIGINT NOT NULL CHECK (log_index >= 0),
    orphaned BIGINT NOT NULL CHECK (orphaned IN (0, 1)),
    round BIGINT NOT NULL CHECK (round > 0),
    CHECK ((what IN ('deprecated', 'blacklisted', 'released', 'destroyed'))
        = (address IS NOT NULL))
);
CREATE INDEX notices_by_height ON notices (chain, height);
CREATE INDEX notices_by_address ON notices (address) WHERE address IS NOT NULL;
CREATE INDEX notices_by_tx ON notices (tx);

CREATE TRIGGER notices_stay BEFORE DELETE OR TRUNCATE ON notices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
CREATE TRIGGER notices_keep BEFORE UPDATE OF seq, id, order_id, chain, tx, place ON notices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('who a notice is does not change');
-- What was said changes where a reorg mines it again, which begins another round.
CREATE TRIGGER notices_value BEFORE UPDATE ON notices
    FOR EACH ROW WHEN (NEW.round = OLD.round AND (NEW.what <> OLD.what
        OR NEW.address IS DISTINCT FROM OLD.address OR NEW.points <> OLD.points
        OR NEW.raw <> OLD.raw OR NEW.height <> OLD.height OR NEW.block_hash <> OLD.block_hash
        OR NEW.time <> OLD.time OR NEW.log_index <> OLD.log_index
        OR NEW.orphaned < OLD.orphaned))
    EXECUTE FUNCTION refuse_change('what was said changes with its round alone');
CREATE TRIGGER notices_rounds BEFORE UPDATE ON notices
    FOR EACH ROW WHEN (NEW.round <> OLD.round
        AND (NEW.round <> OLD.round + 1 OR NEW.orphaned = 1
            OR (OLD.orphaned = 0 AND NEW.block_hash = OLD.block_hash)))
    EXECUTE FUNCTION refuse_change('only what is gone is mined again');
