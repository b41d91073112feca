-- Hourly and daily rollups of metrics.llm_requests: everything in them can be merged further.
CREATE MATERIALIZED VIEW metrics.llm_requests_hourly_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 hour', ts) AS bucket, provider, model, team, project,
    count(*)                                                              AS requests,
    count(*) FILTER (WHERE status = 'error')                              AS errors,
    count(*) FILTER (WHERE metrics.error_class(status, http_status, error_type) = 'rate_limit') AS errors_rate_limit,
    count(*) FILTER (WHERE metrics.error_class(status, http_status, error_type) = 'timeout') AS errors_timeout,
    count(*) FILTER (WHERE metrics.error_class(status, http_status, error_type) = 'server') AS errors_server,
    count(*) FILTER (WHERE metrics.error_class(status, http_status, error_type) = 'client') AS errors_client,
    count(*) FILTER (WHERE metrics.error_class(status, http_status, error_type) = 'other') AS errors_other,
    count(*) FILTER (WHERE status = 'cancelled')                          AS cancelled,
    count(cost_usd)                                                       AS priced,
    count(*) FILTER (WHERE status = 'ok' AND cost_usd IS NULL)            AS unpriced,
    count(*) FILTER (WHERE status = 'ok' AND usage_source = 'missing')    AS unmetered,
    sum(input_tokens)::bigint AS input_tokens,
    sum(cached_tokens)::bigint AS cached_tokens,
    sum(cache_write_tokens)::bigint AS cache_write_tokens,
    sum(output_tokens)::bigint AS output_tokens,
    sum(reasoning_tokens)::bigint AS reasoning_tokens,
    sum(cost_usd)           AS cost_usd,
    count(ttft_s) FILTER (WHERE status <> 'error')                        AS ttft_count,
    sum(ttft_s) FILTER (WHERE status <> 'error')                          AS ttft_sum,
    sum(ttft_s * ttft_s) FILTER (WHERE status <> 'error')                 AS ttft_sumsq,
    min(ttft_s) FILTER (WHERE status <> 'error')                          AS ttft_min,
    max(ttft_s) FILTER (WHERE status <> 'error')                          AS ttft_max,
    metrics.hist_trim(histogram(ln(greatest(ttft_s * 1000, 1)), 0, 14, 240)
        FILTER (WHERE status <> 'error' AND ttft_s IS NOT NULL))           AS ttft_hist,
    count(duration_s) FILTER (WHERE status = 'ok')                        AS duration_count,
    sum(duration_s) FILTER (WHERE status = 'ok')                          AS duration_sum,
    sum(duration_s * duration_s) FILTER (WHERE status = 'ok')             AS duration_sumsq,
    min(duration_s) FILTER (WHERE status = 'ok')                          AS duration_min,
    max(duration_s) FILTER (WHERE status = 'ok')                          AS duration_max,
    metrics.hist_trim(histogram(ln(greatest(duration_s * 1000, 1)), 0, 14, 240)
        FILTER (WHERE status = 'ok' AND duration_s IS NOT NULL))           AS duration_hist,
    count(*) FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0) AS tpot_count,
    sum(1 / output_tokens_per_s) FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0) AS tpot_sum,
    sum(1 / output_tokens_per_s / output_tokens_per_s)
        FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0)      AS tpot_sumsq,
    min(1 / output_tokens_per_s) FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0) AS tpot_min,
    max(1 / output_tokens_per_s) FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0) AS tpot_max,
    metrics.hist_trim(histogram(ln(greatest(1000 / output_tokens_per_s, 1)), 0, 14, 240)
        FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0))      AS tpot_hist,
    sum(output_tokens_per_s) FILTER (WHERE status <> 'error' AND output_tokens_per_s > 0) AS tps_sum
FROM metrics.llm_requests
GROUP BY 1, provider, model, team, project
WITH NO DATA;

CREATE MATERIALIZED VIEW metrics.llm_requests_daily_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 day', bucket) AS bucket, provider, model, team, project,
    sum(requests)::bigint AS requests, sum(errors)::bigint AS errors,
    sum(errors_rate_limit)::bigint AS errors_rate_limit, sum(errors_timeout)::bigint AS errors_timeout, sum(errors_server)::bigint AS errors_server,
    sum(errors_client)::bigint AS errors_client, sum(errors_other)::bigint AS errors_other,
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
FROM metrics.llm_requests_hourly_stored
GROUP BY 1, provider, model, team, project
WITH NO DATA;

-- What is read: the rows of one's own teams. The column store and row-level security exclude each other, hence the views.
CREATE VIEW metrics.llm_requests_hourly WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_requests_hourly_stored WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);

CREATE VIEW metrics.llm_requests_daily WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_requests_daily_stored WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);

CREATE VIEW metrics.llm_requests_visible WITH (security_barrier = true) AS
SELECT * FROM metrics.llm_requests WHERE (SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]);
