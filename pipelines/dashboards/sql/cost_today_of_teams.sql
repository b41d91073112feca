-- What this day (UTC) has cost so far, of the teams that are chosen. Names of models may differ from those of the metrics, which are bounded.
SELECT coalesce(sum(cost_usd), 0)::float8 AS cost
FROM metrics.llm_requests_hourly
WHERE bucket >= date_trunc('day', now(), 'UTC') AND team IN (${team:sqlstring})
