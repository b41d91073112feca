-- Log-bucket histograms: int[202] over ln(milliseconds) from 0 to 14, that is 1 ms to 20 minutes in steps of 7 per cent,
-- with one more bucket at each end. The layout is that of TimescaleDB's histogram(ln(greatest(ms, 1)), 0, 14, 200).
CREATE FUNCTION metrics.hist_add(state integer[], hist integer[]) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF hist IS NULL THEN
        RETURN state;
    ELSIF state IS NULL THEN
        RETURN hist;
    END IF;
    FOR i IN 1 .. cardinality(hist) LOOP
        IF hist[i] <> 0 THEN
            state[i] := state[i] + hist[i];
        END IF;
    END LOOP;
    RETURN state;
END $$;

CREATE AGGREGATE metrics.hist_merge(integer[]) (
    sfunc = metrics.hist_add, stype = integer[], combinefunc = metrics.hist_add, parallel = safe
);

-- Percentiles of a histogram in seconds, interpolated within the bucket; null for an empty one.
CREATE FUNCTION metrics.percentiles(hist integer[], qs float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH counts AS (
        SELECT i, n, sum(n) OVER (ORDER BY i) AS upto
        FROM unnest(hist) WITH ORDINALITY AS u (n, i)
    )
    SELECT array_agg(
        (SELECT CASE
                    WHEN i = 1   THEN 0.001
                    WHEN i = 202 THEN exp(14.0) / 1000
                    ELSE exp(14.0 / 200 * (i - 2 + (rank - (upto - n)) / n)) / 1000
                END
         FROM counts
         WHERE n > 0 AND upto >= rank
         ORDER BY i
         LIMIT 1)
        ORDER BY nr)
    FROM (SELECT nr, greatest(q * (SELECT max(upto) FROM counts), 1e-9) AS rank
          FROM unnest(qs) WITH ORDINALITY AS q (q, nr)) AS wanted
$$;
