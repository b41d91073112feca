-- Late requests are added to the buckets that they fall in, without working those out anew: a row that comes three days late costs one
-- row. The log keeps their keys; what is written in bulk, updated or deleted marks the whole hour, as before.
ALTER TABLE metrics.rollup_log ADD COLUMN ts timestamptz[], ADD COLUMN request_id text[];
COMMENT ON COLUMN metrics.rollup_log.ts IS 'with request_id: keys of the rows that were added; null where the whole hour has to be worked out again';

CREATE FUNCTION metrics.log_new_requests() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    few  timestamptz[];
    many timestamptz[];
BEGIN
    SELECT array_agg(hour) FILTER (WHERE n <= 16), array_agg(hour) FILTER (WHERE n > 16) INTO few, many
    FROM (SELECT date_trunc('hour', ts, 'UTC') AS hour, count(*) AS n FROM new_rows GROUP BY 1) AS hours;
    IF many IS NOT NULL THEN
        INSERT INTO metrics.rollup_log (family, bucket) SELECT 'llm_requests', unnest(many);
    END IF;
    IF few IS NOT NULL THEN
        INSERT INTO metrics.rollup_log (family, bucket, ts, request_id)
        SELECT 'llm_requests', date_trunc('hour', ts, 'UTC'), array_agg(ts), array_agg(request_id)
        FROM new_rows WHERE date_trunc('hour', ts, 'UTC') = ANY (few) GROUP BY 2;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON metrics.llm_requests REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_new_requests();

-- Two functions of 0120 over other rows; made from their own text, so that they cannot come to differ from it. The rollup of the rows
-- with these keys, by 'hour' or 'day', and the days as merged from the stored hours alone.
DO $$
DECLARE
    family text;
BEGIN
    EXECUTE replace(replace(replace(
        pg_get_functiondef('metrics.llm_requests_rollup(timestamptz, timestamptz)'::regprocedure),
        'llm_requests_rollup(since timestamp with time zone, until timestamp with time zone)',
        'llm_requests_rollup_of(grain text, late_ts timestamptz[], late_id text[])'),
        'date_trunc(''hour'', ts, ''UTC'')', 'date_trunc(grain, ts, ''UTC'')'),
        'WHERE ts >= since AND ts < until', 'JOIN unnest(late_ts, late_id) AS late (ts, request_id) USING (ts, request_id)');
    FOREACH family IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        EXECUTE replace(replace(
            pg_get_functiondef(format('metrics.%I(timestamptz, timestamptz)', family || '_merge')::regprocedure),
            family || '_merge(', family || '_merge_stored('),
            family || '_hourly AS hourly', family || '_hourly_stored AS hourly');
    END LOOP;
END $$;

CREATE FUNCTION metrics.hist_sum(one integer[], other integer[]) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT metrics.hist_close(metrics.hist_add(one::bigint[], other))::integer[]
$$;

-- Adds the requests with these keys to the stored buckets of `grain`. What a column's name ends with says how it is merged.
CREATE FUNCTION metrics.add_late(target regclass, grain text, late_ts timestamptz[], late_id text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    merged text;
BEGIN
    SELECT string_agg(format(CASE
               WHEN attname LIKE '%\_min'  THEN '%1$I = least(stored.%1$I, excluded.%1$I)'
               WHEN attname LIKE '%\_max'  THEN '%1$I = greatest(stored.%1$I, excluded.%1$I)'
               WHEN attname LIKE '%\_hist' THEN '%1$I = metrics.hist_sum(stored.%1$I, excluded.%1$I)'
               ELSE                             '%1$I = coalesce(stored.%1$I + excluded.%1$I, stored.%1$I, excluded.%1$I)'
           END, attname), ', ')
    INTO merged
    FROM pg_attribute
    WHERE attrelid = target AND attnum > 0 AND NOT attisdropped
      AND attname NOT IN ('bucket', 'provider', 'model', 'team', 'project');
    EXECUTE format('INSERT INTO %s AS stored SELECT * FROM metrics.llm_requests_rollup_of($1, $2, $3)
                    ON CONFLICT (bucket, provider, model, team, project) DO UPDATE SET %s', target, merged)
    USING grain, late_ts, late_id;
END $$;

-- Brings one family up to date with its log. Each statement that reads raw rows takes the marks away that stand for exactly what it
-- sees, for both have one snapshot; what is written meanwhile keeps its mark, and its bucket stays live until the next time.
CREATE OR REPLACE FUNCTION metrics.refresh_family(raw text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hours   timestamptz[];
    spans   tstzmultirange;
    days    tstzmultirange;
    late_ts timestamptz[];
    late_id text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('gaugebook.refresh_rollups'));
    -- An hour to which very much was added piece by piece is worked out as a whole, too.
    SELECT array_agg(bucket), range_agg(tstzrange(bucket, bucket + interval '1 hour')),
           range_agg(tstzrange(date_trunc('day', bucket, 'UTC'), date_trunc('day', bucket, 'UTC') + interval '1 day'))
    INTO hours, spans, days
    FROM (SELECT bucket FROM metrics.rollup_log WHERE family = raw
          GROUP BY bucket HAVING bool_or(ts IS NULL) OR sum(cardinality(ts)) > 1000) AS whole;

    WITH taken AS (
        DELETE FROM metrics.rollup_log AS mark
        WHERE family = raw AND bucket <> ALL (coalesce(hours, '{}'))
          AND NOT EXISTS (SELECT FROM metrics.rollup_log AS whole WHERE whole.family = raw AND whole.bucket = mark.bucket AND whole.ts IS NULL)
        RETURNING mark.ts, mark.request_id
    )
    SELECT array_agg(late.ts), array_agg(late.request_id)
    INTO late_ts, late_id
    FROM taken, unnest(taken.ts, taken.request_id) AS late (ts, request_id);
    IF late_ts IS NOT NULL THEN
        PERFORM metrics.add_late(format('metrics.%I', raw || '_hourly_stored')::regclass, 'hour', late_ts, late_id);
        SELECT array_agg(late.ts), array_agg(late.request_id) INTO late_ts, late_id
        FROM unnest(late_ts, late_id) AS late (ts, request_id)
        WHERE days IS NULL OR NOT late.ts <@ days;  -- the others are in the hours that those days are merged from
        PERFORM metrics.add_late(format('metrics.%I', raw || '_daily_stored')::regclass, 'day', late_ts, late_id);
    END IF;

    IF hours IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('DELETE FROM metrics.%I WHERE bucket = ANY ($1)', raw || '_hourly_stored') USING hours;
    -- A day at a time, so that what a long span needs stays in memory.
    EXECUTE format('WITH taken AS (DELETE FROM metrics.rollup_log WHERE family = $1 AND bucket = ANY ($2))
                    INSERT INTO metrics.%I SELECT live.* FROM unnest($3) AS span,
                    generate_series(date_trunc(''day'', lower(span), ''UTC''), upper(span) - interval ''1 hour'', interval ''24 hours'') AS day,
                    metrics.%I(greatest(lower(span), day), least(upper(span), day + interval ''24 hours'')) AS live',
                   raw || '_hourly_stored', raw || '_rollup') USING raw, hours, spans;
    EXECUTE format('DELETE FROM metrics.%I USING unnest($1) AS span WHERE bucket >= lower(span) AND bucket < upper(span)',
                   raw || '_daily_stored') USING days;
    EXECUTE format('INSERT INTO metrics.%I SELECT live.* FROM unnest($1) AS span, metrics.%I(lower(span), upper(span)) AS live',
                   raw || '_daily_stored', raw || '_merge_stored') USING days;
END $$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA metrics FROM PUBLIC;

-- Readers need to know which hours are live, not whose requests came late. The roles belong to the server and may be there already.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'gaugebook_reader') THEN
        REVOKE SELECT ON metrics.rollup_log FROM gaugebook_reader;
        GRANT SELECT (family, bucket) ON metrics.rollup_log TO gaugebook_reader;
    END IF;
END $$;
