-- How far the blocks of a chain that is watched by its accounts were read again behind it.
CREATE TABLE rereads (
    chain TEXT NOT NULL PRIMARY KEY REFERENCES chains (name),
    height INTEGER NOT NULL CHECK (height >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER rereads_rise BEFORE UPDATE ON rereads
WHEN NEW.chain <> OLD.chain OR (NEW.height < OLD.height AND NOT EXISTS (
    SELECT 1 FROM adoptions JOIN chains ON chains.name = adoptions.chain
    WHERE adoptions.chain = OLD.chain AND adoptions.generation = chains.generation
        AND base_height = NEW.height
))
BEGIN SELECT RAISE(ABORT, 'rereads: a height does not go back'); END;
CREATE TRIGGER rereads_stay BEFORE DELETE ON rereads
BEGIN SELECT RAISE(ABORT, 'rereads: no row is deleted'); END;
