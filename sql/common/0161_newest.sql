-- The time of the newest row of a raw table: what is later than that cannot be there yet. It runs as the owner, for writers may not read.
CREATE FUNCTION metrics.newest(raw regclass) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    latest timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = raw AND relnamespace = 'metrics'::regnamespace AND relkind IN ('r', 'p')) THEN
        RAISE EXCEPTION '% is no raw table', raw;
    END IF;
    EXECUTE format('SELECT max(ts) FROM %s', raw) INTO latest;
    RETURN coalesce(latest, '2000-01-01Z'); -- no row is earlier
END $$;

REVOKE ALL ON FUNCTION metrics.newest FROM PUBLIC;
