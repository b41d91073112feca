-- Errors an hour by class, of the teams that are chosen.
SELECT
    bucket AS "time",
    sum(errors_rate_limit)::float8 AS "rate limit", sum(errors_timeout)::float8 AS timeout, sum(errors_server)::float8 AS server,
    sum(errors_client)::float8 AS client, sum(errors_other)::float8 AS other
FROM metrics.llm_requests_hourly
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring})
GROUP BY bucket
ORDER BY bucket
