-- LLM requests per minute from the raw rows: one row per minute with traffic, in the order of time.
--   :project, :team, :model  text         only these; null: all
--   :since, :until           timestamptz  the span (half-open); null: no bound
SELECT
    date_trunc('minute', ts)                                     AS ds,
    count(*)::float8                                             AS requests,
    (count(*) FILTER (WHERE status = 'error'))::float8           AS errors,
    coalesce(sum(input_tokens), 0)::float8                       AS input_tokens,
    coalesce(sum(cached_tokens), 0)::float8                      AS cached_tokens,
    coalesce(sum(output_tokens), 0)::float8                      AS output_tokens,
    coalesce(sum(reasoning_tokens), 0)::float8                   AS reasoning_tokens,
    coalesce(sum(cost_usd), 0)::float8                           AS cost_usd
FROM metrics.llm_requests
WHERE (:project::text IS NULL OR project = :project)
  AND (:team::text IS NULL OR team = :team)
  AND (:model::text IS NULL OR model = :model)
  AND (:since::timestamptz IS NULL OR ts >= :since)
  AND (:until::timestamptz IS NULL OR ts < :until)
GROUP BY 1
ORDER BY 1
