-- Hourly and daily rollups of metrics.llm_usage: everything in them can be merged further.
-- What is stored, kept up to date by metrics.refresh_rollups():
CREATE TABLE metrics.llm_usage_hourly_stored (
    bucket             timestamptz,
    provider           text,
    model              text,
    team               text,
    project            text,
    source             text,
    windows            bigint NOT NULL,
    covered_s          bigint NOT NULL,
    requests           bigint NOT NULL,
    input_tokens       bigint,
    cached_tokens      bigint,
    cache_write_tokens bigint,
    output_tokens      bigint,
    reasoning_tokens   bigint,
    cost_usd           numeric,
    PRIMARY KEY (bucket, provider, model, team, project, source)
);

CREATE TABLE metrics.llm_usage_daily_stored (LIKE metrics.llm_usage_hourly_stored INCLUDING ALL);

-- The hours from `since` to `until` (whole hours, half-open), worked out from the raw rows. With a setting of its own it is not taken
-- apart into the query that calls it, which would then not run in parallel.
CREATE FUNCTION metrics.llm_usage_rollup(since timestamptz, until timestamptz)
RETURNS SETOF metrics.llm_usage_hourly_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        date_trunc('hour', ts, 'UTC') AS bucket, provider, model, team, project, source,
        count(*)                        AS windows,
        sum(width_s)::bigint            AS covered_s,
        sum(requests)::bigint           AS requests,
        sum(input_tokens)::bigint       AS input_tokens,
        sum(cached_tokens)::bigint      AS cached_tokens,
        sum(cache_write_tokens)::bigint AS cache_write_tokens,
        sum(output_tokens)::bigint      AS output_tokens,
        sum(reasoning_tokens)::bigint   AS reasoning_tokens,
        sum(cost_usd)                   AS cost_usd
    FROM metrics.llm_usage
    WHERE ts >= since AND ts < until
    GROUP BY 1, provider, model, team, project, source
$$;

-- What is read: the stored hours, and the changed ones straight from the raw rows.
CREATE VIEW metrics.llm_usage_hourly WITH (security_invoker = true) AS
SELECT * FROM metrics.llm_usage_hourly_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.rollup_log WHERE family = 'llm_usage' AND rollup_log.bucket = stored.bucket)
UNION ALL
SELECT live.* FROM metrics.changed_spans('llm_usage') AS span, metrics.llm_usage_rollup(span.since, span.until) AS live;

-- The days from `since` to `until` (whole days, half-open), merged from the hours.
CREATE FUNCTION metrics.llm_usage_merge(since timestamptz, until timestamptz)
RETURNS SETOF metrics.llm_usage_daily_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        date_trunc('day', bucket, 'UTC') AS bucket, provider, model, team, project, source,
        sum(windows)::bigint            AS windows,
        sum(covered_s)::bigint          AS covered_s,
        sum(requests)::bigint           AS requests,
        sum(input_tokens)::bigint       AS input_tokens,
        sum(cached_tokens)::bigint      AS cached_tokens,
        sum(cache_write_tokens)::bigint AS cache_write_tokens,
        sum(output_tokens)::bigint      AS output_tokens,
        sum(reasoning_tokens)::bigint   AS reasoning_tokens,
        sum(cost_usd)                   AS cost_usd
    FROM metrics.llm_usage_hourly AS hourly
    WHERE hourly.bucket >= since AND hourly.bucket < until
    GROUP BY 1, provider, model, team, project, source
$$;

CREATE VIEW metrics.llm_usage_daily WITH (security_invoker = true) AS
SELECT * FROM metrics.llm_usage_daily_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.changed_days('llm_usage') AS span WHERE stored.bucket >= span.since AND stored.bucket < span.until)
UNION ALL
SELECT live.* FROM metrics.changed_days('llm_usage') AS span, metrics.llm_usage_merge(span.since, span.until) AS live;
