-- LLM requests per bucket and any of four dimensions: one row per bucket and combination, in the order of time.
--   :grain          text          hourly or daily
--   :by             text[]        dimensions to keep, of provider, model, team, project; the others are null
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, provider, model, team, project, requests, errors,
           input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd
    FROM metrics.llm_requests_hourly
    WHERE :grain = 'hourly'
    UNION ALL
    SELECT bucket, provider, model, team, project, requests, errors,
           input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd
    FROM metrics.llm_requests_daily
    WHERE :grain = 'daily'
)
SELECT
    bucket                                                    AS ds,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN provider END AS provider,
    CASE WHEN 'model'    = ANY (:by::text[]) THEN model    END AS model,
    CASE WHEN 'team'     = ANY (:by::text[]) THEN team     END AS team,
    CASE WHEN 'project'  = ANY (:by::text[]) THEN project  END AS project,
    sum(requests)::float8                                     AS requests,
    sum(errors)::float8                                       AS errors,
    coalesce(sum(input_tokens), 0)::float8                    AS input_tokens,
    coalesce(sum(cached_tokens), 0)::float8                   AS cached_tokens,
    coalesce(sum(output_tokens), 0)::float8                   AS output_tokens,
    coalesce(sum(reasoning_tokens), 0)::float8                AS reasoning_tokens,
    coalesce(sum(cost_usd), 0)::float8                        AS cost_usd
FROM rollup
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;
