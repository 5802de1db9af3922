-- How far the blocks of a chain that is watched by its accounts were read again behind it.
CREATE TABLE rereads (
    chain TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES chains (name),
    height BIGINT NOT NULL CHECK (height >= 0)
);
CREATE FUNCTION refuse_return() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.chain <> OLD.chain OR NOT EXISTS (
        SELECT 1 FROM adoptions JOIN chains ON chains.name = adoptions.chain
        WHERE adoptions.chain = OLD.chain AND adoptions.generation = chains.generation
            AND base_height = NEW.height
    ) THEN
        RAISE EXCEPTION '%: a height does not go back', TG_TABLE_NAME
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rereads_rise BEFORE UPDATE ON rereads
    FOR EACH ROW WHEN (NEW.chain <> OLD.chain OR NEW.height < OLD.height)
    EXECUTE FUNCTION refuse_return();
CREATE TRIGGER rereads_stay BEFORE DELETE OR TRUNCATE ON rereads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_delete();
