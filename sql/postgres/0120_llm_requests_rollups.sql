-- Hourly and daily rollups of metrics.llm_requests: everything in them can be merged further.
-- What is stored, kept up to date by metrics.refresh_rollups():
CREATE TABLE metrics.llm_requests_hourly_stored (
    bucket             timestamptz,
    provider           text,
    model              text,
    team               text,
    project            text,
    requests           bigint NOT NULL,
    errors             bigint NOT NULL,
    errors_rate_limit  bigint NOT NULL,
    errors_timeout     bigint NOT NULL,
    errors_server      bigint NOT NULL,
    errors_client      bigint NOT NULL,
    errors_other       bigint NOT NULL,
    cancelled          bigint NOT NULL,
    priced             bigint NOT NULL,
    unpriced           bigint NOT NULL,
    unmetered          bigint NOT NULL,
    input_tokens       bigint,
    cached_tokens      bigint,
    cache_write_tokens bigint,
    output_tokens      bigint,
    reasoning_tokens   bigint,
    cost_usd           numeric,
    ttft_count         bigint NOT NULL,
    ttft_sum           float8,
    ttft_sumsq         float8,
    ttft_min           float8,
    ttft_max           float8,
    ttft_hist          integer[],
    duration_count     bigint NOT NULL,
    duration_sum       float8,
    duration_sumsq     float8,
    duration_min       float8,
    duration_max       float8,
    duration_hist      integer[],
    tpot_count         bigint NOT NULL,
    tpot_sum           float8,
    tpot_sumsq         float8,
    tpot_min           float8,
    tpot_max           float8,
    tpot_hist          integer[],
    tps_sum            float8,
    PRIMARY KEY (bucket, provider, model, team, project)
);

CREATE TABLE metrics.llm_requests_daily_stored (LIKE metrics.llm_requests_hourly_stored INCLUDING ALL);

-- A histogram from its occupied buckets and what is in them.
CREATE FUNCTION metrics.hist_of(places integer[], counts bigint[]) RETURNS integer[]
LANGUAGE plpgsql STRICT IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    first integer := places[1];
    last  integer := places[1];
    hist  integer[];
BEGIN
    FOR i IN 2 .. cardinality(places) LOOP
        first := least(first, places[i]);
        last := greatest(last, places[i]);
    END LOOP;
    hist := array_fill(0, ARRAY[last - first + 1], ARRAY[first + 1]);
    FOR i IN 1 .. cardinality(places) LOOP
        hist[places[i] + 1] := counts[i];
    END LOOP;
    RETURN hist;
END $$;

-- The hours from `since` to `until` (whole hours, half-open), worked out from the raw rows. With a setting of its own it is not taken
-- apart into the query that calls it, which would then not run in parallel.
CREATE FUNCTION metrics.llm_requests_rollup(since timestamptz, until timestamptz)
RETURNS SETOF metrics.llm_requests_hourly_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH raw AS MATERIALIZED (
        SELECT
            date_trunc('hour', ts, 'UTC') AS bucket, provider, model, team, project, status, usage_source,
            metrics.error_class(status, http_status, error_type) AS error_class,
            input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd,
            CASE WHEN status <> 'error' THEN ttft_s END                                             AS ttft,
            CASE WHEN status = 'ok' THEN duration_s END                                             AS duration,
            CASE WHEN status <> 'error' AND output_tokens_per_s > 0 THEN 1 / output_tokens_per_s END AS tpot,
            CASE WHEN status <> 'error' AND output_tokens_per_s > 0 THEN output_tokens_per_s END    AS tps
        FROM metrics.llm_requests
        WHERE ts >= since AND ts < until
    ),
    sums AS (
        SELECT
            bucket, provider, model, team, project,
            count(*)                                                           AS requests,
            count(*) FILTER (WHERE status = 'error')                           AS errors,
            count(*) FILTER (WHERE error_class = 'rate_limit')                 AS errors_rate_limit,
            count(*) FILTER (WHERE error_class = 'timeout')                    AS errors_timeout,
            count(*) FILTER (WHERE error_class = 'server')                     AS errors_server,
            count(*) FILTER (WHERE error_class = 'client')                     AS errors_client,
            count(*) FILTER (WHERE error_class = 'other')                      AS errors_other,
            count(*) FILTER (WHERE status = 'cancelled')                       AS cancelled,
            count(cost_usd)                                                    AS priced,
            count(*) FILTER (WHERE status = 'ok' AND cost_usd IS NULL)         AS unpriced,
            count(*) FILTER (WHERE status = 'ok' AND usage_source = 'missing') AS unmetered,
            sum(input_tokens)::bigint AS input_tokens, sum(cached_tokens)::bigint AS cached_tokens,
            sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens,
            sum(reasoning_tokens)::bigint AS reasoning_tokens, sum(cost_usd) AS cost_usd,
            count(ttft) AS ttft_count, sum(ttft) AS ttft_sum, sum(ttft * ttft) AS ttft_sumsq,
            min(ttft) AS ttft_min, max(ttft) AS ttft_max,
            count(duration) AS duration_count, sum(duration) AS duration_sum, sum(duration * duration) AS duration_sumsq,
            min(duration) AS duration_min, max(duration) AS duration_max,
            count(tpot) AS tpot_count, sum(tpot) AS tpot_sum, sum(tpot * tpot) AS tpot_sumsq,
            min(tpot) AS tpot_min, max(tpot) AS tpot_max, sum(tps) AS tps_sum
        FROM raw
        GROUP BY bucket, provider, model, team, project
    ),
    occupied AS (
        SELECT bucket, provider, model, team, project, latency,
               width_bucket(ln(greatest(seconds * 1000, 1)), 0, 14, 240) AS place, count(*) AS n
        FROM raw CROSS JOIN LATERAL (VALUES ('ttft', ttft), ('duration', duration), ('tpot', tpot)) AS l (latency, seconds)
        WHERE seconds IS NOT NULL
        GROUP BY bucket, provider, model, team, project, latency, place
    ),
    hists AS (
        SELECT bucket, provider, model, team, project,
               metrics.hist_of(array_agg(place) FILTER (WHERE latency = 'ttft'),
                               array_agg(n) FILTER (WHERE latency = 'ttft'))     AS ttft_hist,
               metrics.hist_of(array_agg(place) FILTER (WHERE latency = 'duration'),
                               array_agg(n) FILTER (WHERE latency = 'duration')) AS duration_hist,
               metrics.hist_of(array_agg(place) FILTER (WHERE latency = 'tpot'),
                               array_agg(n) FILTER (WHERE latency = 'tpot'))     AS tpot_hist
        FROM occupied
        GROUP BY bucket, provider, model, team, project
    )
    SELECT
        bucket, provider, model, team, project, requests, errors, errors_rate_limit, errors_timeout, errors_server, errors_client, errors_other,
        cancelled, priced, unpriced, unmetered,
        input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd,
        ttft_count, ttft_sum, ttft_sumsq, ttft_min, ttft_max, ttft_hist,
        duration_count, duration_sum, duration_sumsq, duration_min, duration_max, duration_hist,
        tpot_count, tpot_sum, tpot_sumsq, tpot_min, tpot_max, tpot_hist, tps_sum
    FROM sums LEFT JOIN hists USING (bucket, provider, model, team, project)
$$;

-- What is read: the stored hours, and the changed ones straight from the raw rows.
CREATE VIEW metrics.llm_requests_hourly WITH (security_invoker = true) AS
SELECT * FROM metrics.llm_requests_hourly_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.rollup_log WHERE family = 'llm_requests' AND rollup_log.bucket = stored.bucket)
UNION ALL
SELECT live.* FROM metrics.changed_spans('llm_requests') AS span, metrics.llm_requests_rollup(span.since, span.until) AS live;

-- The days from `since` to `until` (whole days, half-open), merged from the hours.
CREATE FUNCTION metrics.llm_requests_merge(since timestamptz, until timestamptz)
RETURNS SETOF metrics.llm_requests_daily_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        date_trunc('day', bucket, 'UTC') AS bucket, provider, model, team, project,
        sum(requests)::bigint AS requests, sum(errors)::bigint AS errors,
        sum(errors_rate_limit)::bigint AS errors_rate_limit,
        sum(errors_timeout)::bigint AS errors_timeout,
        sum(errors_server)::bigint AS errors_server,
        sum(errors_client)::bigint AS errors_client,
        sum(errors_other)::bigint AS errors_other,
        sum(cancelled)::bigint AS cancelled,
        sum(priced)::bigint AS priced, sum(unpriced)::bigint AS unpriced, sum(unmetered)::bigint AS unmetered,
        sum(input_tokens)::bigint AS input_tokens, sum(cached_tokens)::bigint AS cached_tokens, sum(cache_write_tokens)::bigint AS cache_write_tokens,
        sum(output_tokens)::bigint AS output_tokens, sum(reasoning_tokens)::bigint AS reasoning_tokens, sum(cost_usd) AS cost_usd,
        sum(ttft_count)::bigint AS ttft_count, sum(ttft_sum) AS ttft_sum, sum(ttft_sumsq) AS ttft_sumsq,
        min(ttft_min) AS ttft_min, max(ttft_max) AS ttft_max, metrics.hist_merge(ttft_hist)::integer[] AS ttft_hist,
        sum(duration_count)::bigint AS duration_count, sum(duration_sum) AS duration_sum, sum(duration_sumsq) AS duration_sumsq,
        min(duration_min) AS duration_min, max(duration_max) AS duration_max, metrics.hist_merge(duration_hist)::integer[] AS duration_hist,
        sum(tpot_count)::bigint AS tpot_count, sum(tpot_sum) AS tpot_sum, sum(tpot_sumsq) AS tpot_sumsq,
        min(tpot_min) AS tpot_min, max(tpot_max) AS tpot_max, metrics.hist_merge(tpot_hist)::integer[] AS tpot_hist,
        sum(tps_sum) AS tps_sum
    FROM metrics.llm_requests_hourly AS hourly
    WHERE hourly.bucket >= since AND hourly.bucket < until
    GROUP BY 1, provider, model, team, project
$$;

CREATE VIEW metrics.llm_requests_daily WITH (security_invoker = true) AS
SELECT * FROM metrics.llm_requests_daily_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.changed_days('llm_requests') AS span WHERE stored.bucket >= span.since AND stored.bucket < span.until)
UNION ALL
SELECT live.* FROM metrics.changed_days('llm_requests') AS span, metrics.llm_requests_merge(span.since, span.until) AS live;
