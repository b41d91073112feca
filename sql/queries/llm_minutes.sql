-- LLM requests per minute from the raw rows: one row per minute with traffic and combination, in the order of time.
--   :by             text[]        dimensions to keep, of provider, model, team, project; the others are null
--   :since, :until  timestamptz   the span (half-open); null: no bound
SELECT
    date_trunc('minute', ts)                                   AS ds,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN provider END AS provider,
    CASE WHEN 'model'    = ANY (:by::text[]) THEN model    END AS model,
    CASE WHEN 'team'     = ANY (:by::text[]) THEN team     END AS team,
    CASE WHEN 'project'  = ANY (:by::text[]) THEN project  END AS project,
    count(*)::float8                                           AS requests,
    (count(*) FILTER (WHERE status = 'error'))::float8         AS errors,
    coalesce(sum(input_tokens), 0)::float8                     AS input_tokens,
    coalesce(sum(cached_tokens), 0)::float8                    AS cached_tokens,
    coalesce(sum(output_tokens), 0)::float8                    AS output_tokens,
    coalesce(sum(reasoning_tokens), 0)::float8                 AS reasoning_tokens,
    coalesce(sum(cost_usd), 0)::float8                         AS cost_usd
FROM metrics.llm_requests_visible
WHERE (:since::timestamptz IS NULL OR ts >= :since)
  AND (:until::timestamptz IS NULL OR ts < :until)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;
