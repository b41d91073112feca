-- Log-bucket histograms: 240 buckets over ln(milliseconds) from 0 to 14, that is 1 ms to 20 minutes in steps of 6 per cent, and one
-- more at each end (subscripts 1 and 242). A histogram is an int[] that begins at its first occupied bucket and ends at its last: the
-- subscript says which bucket it is, '[140:141]={3,5}', and a latency that hardly varies costs a few bytes.
CREATE FUNCTION metrics.hist_add(state bigint[], hist integer[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    IF hist IS NULL THEN
        RETURN state;
    ELSIF state IS NULL THEN
        RETURN hist;
    END IF;
    FOR i IN array_lower(hist, 1) .. array_upper(hist, 1) LOOP
        state[i] := coalesce(state[i], 0) + hist[i];
    END LOOP;
    RETURN state;
END $$;

CREATE FUNCTION metrics.hist_combine(state bigint[], hist bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
BEGIN
    IF hist IS NULL THEN
        RETURN state;
    ELSIF state IS NULL THEN
        RETURN hist;
    END IF;
    FOR i IN array_lower(hist, 1) .. array_upper(hist, 1) LOOP
        state[i] := coalesce(state[i], 0) + coalesce(hist[i], 0);
    END LOOP;
    RETURN state;
END $$;

-- Buckets between two histograms that do not touch are null until here.
CREATE FUNCTION metrics.hist_close(state bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STRICT IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF array_position(state, NULL) IS NOT NULL THEN
        FOR i IN array_lower(state, 1) .. array_upper(state, 1) LOOP
            state[i] := coalesce(state[i], 0);
        END LOOP;
    END IF;
    RETURN state;
END $$;

CREATE AGGREGATE metrics.hist_merge(integer[]) (
    sfunc = metrics.hist_add, stype = bigint[], finalfunc = metrics.hist_close,
    combinefunc = metrics.hist_combine, parallel = safe
);

-- Percentiles of a histogram in seconds: each within 3 per cent of the latency of that rank, however the latencies are distributed
-- (DDSketch, Masson, Rim and Lee 2019, with gamma = exp(14/240)). Null for an empty histogram.
CREATE FUNCTION metrics.percentiles(hist bigint[], qs float8[]) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
DECLARE
    step    CONSTANT float8  := 14.0 / 240;
    start   CONSTANT integer := array_lower(hist, 1) - 1;
    place   integer  := start;
    upto    bigint   := 0;
    total   bigint   := 0;
    n       bigint;
    q       float8;
    rank    float8;
    results float8[] := '{}';
BEGIN
    IF hist IS NULL THEN
        RETURN array_fill(NULL::float8, ARRAY[cardinality(qs)]);
    END IF;
    FOREACH n IN ARRAY hist LOOP
        total := total + n;
    END LOOP;
    FOREACH q IN ARRAY qs LOOP
        rank := greatest(q * total, 1);
        IF rank <= upto THEN  -- it may lie before the one of the last round
            place := start;
            upto := 0;
        END IF;
        WHILE upto < rank LOOP
            place := place + 1;
            upto := upto + hist[place];
        END LOOP;
        results := results || CASE place WHEN 1   THEN 0.001
                                         WHEN 242 THEN exp(14.0::float8) / 1000
                                         ELSE 2 * exp(step * (place - 1)) / (exp(step) + 1) / 1000 END;
    END LOOP;
    RETURN results;
END $$;

-- Why a request failed, in one of five classes; null for one that did not.
CREATE FUNCTION metrics.error_class(status text, http_status smallint, error_type text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN status <> 'error'                                                THEN NULL
        WHEN http_status = 429 OR error_type ILIKE '%rate%limit%'             THEN 'rate_limit'
        WHEN http_status IN (408, 504) OR error_type ILIKE '%time%out%'       THEN 'timeout'
        WHEN http_status >= 500                                               THEN 'server'
        WHEN http_status >= 400                                               THEN 'client'
        ELSE 'other'
    END
$$;
