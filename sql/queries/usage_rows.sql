-- Reported LLM usage in the columns of llm_rows.sql: one row per bucket, provider, model, team and project.
-- A bucket whose source reports no cost counts all its requests as unpriced.
--   :grain          text          hourly or daily
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, provider, model, team, project, requests,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd
    FROM metrics.llm_usage_hourly
    WHERE :grain = 'hourly'
    UNION ALL
    SELECT bucket, provider, model, team, project, requests,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_usd
    FROM metrics.llm_usage_daily
    WHERE :grain = 'daily'
)
SELECT
    bucket, provider, model, team, project,
    sum(requests)::bigint                                                       AS requests,
    0::bigint                                                                   AS errors,
    NULL::float8                                                                AS avg_ttft,
    NULL::float8                                                                AS avg_duration,
    NULL::float8                                                                AS avg_tps,
    sum(input_tokens)::bigint                                                   AS input_tokens,
    sum(cached_tokens)::bigint                                                  AS cached_tokens,
    sum(cache_write_tokens)::bigint                                             AS cache_write_tokens,
    sum(output_tokens)::bigint                                                  AS output_tokens,
    sum(reasoning_tokens)::bigint                                               AS reasoning_tokens,
    sum(cost_usd)::float8                                                       AS total_cost,
    coalesce(sum(requests) FILTER (WHERE cost_usd IS NULL), 0)::bigint          AS unpriced,
    coalesce(sum(requests) FILTER (WHERE input_tokens IS NULL AND output_tokens IS NULL), 0)::bigint AS unmetered
FROM rollup
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
GROUP BY bucket, provider, model, team, project
ORDER BY bucket, provider, model, team, project;
