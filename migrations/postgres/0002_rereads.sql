-- How far the blocks of a chain that is watched by its accounts were read again behind it.
CREATE TABLE rereads (
    chain TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES chains (name),
    height BIGINT NOT NULL CHECK (height >= 0)
);
CREATE TRIGGER rereads_rise BEFORE UPDATE ON rereads
    FOR EACH ROW WHEN (NEW.chain <> OLD.chain OR NEW.height < OLD.height)
    EXECUTE FUNCTION refuse_change('a height does not go back');
CREATE TRIGGER rereads_stay BEFORE DELETE OR TRUNCATE ON rereads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
