-- Failed LLM requests by class: one row per day (UTC) and model.
--   :team           text          null: every team
--   :since, :until  timestamptz   hours from, to (half-open)
SELECT
    date_trunc('day', bucket, 'UTC')  AS ds,
    model,
    sum(requests)::bigint             AS requests,
    sum(errors)::bigint               AS errors,
    sum(errors_rate_limit)::bigint    AS rate_limit,
    sum(errors_timeout)::bigint       AS timeout,
    sum(errors_server)::bigint        AS server,
    sum(errors_client)::bigint        AS client,
    sum(errors_other)::bigint         AS other
FROM metrics.llm_requests_hourly
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
  AND (:team::text IS NULL OR team = :team)
GROUP BY 1, 2
ORDER BY 1, 2;
