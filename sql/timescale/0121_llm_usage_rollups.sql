-- Hourly and daily rollups of metrics.llm_usage: everything in them can be merged further.
CREATE MATERIALIZED VIEW metrics.llm_usage_hourly_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 hour', ts) AS bucket, provider, model, team, project, source,
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
GROUP BY 1, provider, model, team, project, source
WITH NO DATA;

CREATE MATERIALIZED VIEW metrics.llm_usage_daily_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 day', bucket) AS bucket, provider, model, team, project, source,
    sum(windows)::bigint            AS windows,
    sum(covered_s)::bigint          AS covered_s,
    sum(requests)::bigint           AS requests,
    sum(input_tokens)::bigint       AS input_tokens,
    sum(cached_tokens)::bigint      AS cached_tokens,
    sum(cache_write_tokens)::bigint AS cache_write_tokens,
    sum(output_tokens)::bigint      AS output_tokens,
    sum(reasoning_tokens)::bigint   AS reasoning_tokens,
    sum(cost_usd)                   AS cost_usd
FROM metrics.llm_usage_hourly_stored
GROUP BY 1, provider, model, team, project, source
WITH NO DATA;

-- What is read: the rows of one's own teams. The column store and row-level security exclude each other, hence the views.
CREATE VIEW metrics.llm_usage_hourly WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_usage_hourly_stored WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);

CREATE VIEW metrics.llm_usage_daily WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_usage_daily_stored WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);

CREATE VIEW metrics.llm_usage_visible WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_usage WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);
