-- Percentiles of latency from merged histograms, in seconds: one row per bucket (or the whole span) and combination.
--   :grain          text          hourly or daily; span: one row for all of it
--   :by             text[]        dimensions to keep, of provider, model, team, project; the others are null
--   :quantiles      float8[]      between 0 and 1
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, provider, model, team, project, requests, errors, ttft_hist, duration_hist, tpot_hist
    FROM metrics.llm_requests_hourly
    WHERE :grain IN ('hourly', 'span')
    UNION ALL
    SELECT bucket, provider, model, team, project, requests, errors, ttft_hist, duration_hist, tpot_hist
    FROM metrics.llm_requests_daily
    WHERE :grain = 'daily'
)
SELECT
    CASE WHEN :grain = 'span' THEN :since::timestamptz ELSE bucket END           AS ds,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN provider END                   AS provider,
    CASE WHEN 'model'    = ANY (:by::text[]) THEN model    END                   AS model,
    CASE WHEN 'team'     = ANY (:by::text[]) THEN team     END                   AS team,
    CASE WHEN 'project'  = ANY (:by::text[]) THEN project  END                   AS project,
    sum(requests)::bigint                                                        AS requests,
    sum(errors)::bigint                                                          AS errors,
    metrics.percentiles(metrics.hist_merge(ttft_hist),     :quantiles::float8[]) AS ttft,
    metrics.percentiles(metrics.hist_merge(duration_hist), :quantiles::float8[]) AS duration,
    metrics.percentiles(metrics.hist_merge(tpot_hist),     :quantiles::float8[]) AS tpot
FROM rollup
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;
