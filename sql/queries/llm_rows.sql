-- The LLM rollup as people read it, without its histograms: one row per bucket, provider, model, team and project.
--   :grain          text          hourly or daily
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, provider, model, team, project, requests, errors, avg_ttft, avg_duration, avg_tps,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, total_cost, unpriced, unmetered
    FROM metrics.llm_metrics_hourly
    WHERE :grain = 'hourly'
    UNION ALL
    SELECT bucket, provider, model, team, project, requests, errors, avg_ttft, avg_duration, avg_tps,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, total_cost, unpriced, unmetered
    FROM metrics.llm_metrics_daily
    WHERE :grain = 'daily'
)
SELECT *
FROM rollup
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
ORDER BY bucket, provider, model, team, project;
