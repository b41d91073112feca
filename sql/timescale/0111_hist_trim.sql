-- A histogram of TimescaleDB's from its first occupied bucket to its last.
CREATE FUNCTION metrics.hist_trim(hist integer[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    first   integer;
    last    integer;
    trimmed integer[];
BEGIN
    FOR i IN 1 .. coalesce(cardinality(hist), 0) LOOP
        IF hist[i] <> 0 THEN
            first := coalesce(first, i);
            last := i;
        END IF;
    END LOOP;
    IF first IS NOT NULL THEN
        trimmed := array_fill(0, ARRAY[last - first + 1], ARRAY[first]);
        FOR i IN first .. last LOOP
            trimmed[i] := hist[i];
        END LOOP;
    END IF;
    RETURN trimmed;
END $$;
