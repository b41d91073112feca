-- What this month (UTC) has cost so far.
SELECT coalesce(sum(cost_usd), 0)::float8 AS cost
FROM metrics.llm_requests_daily
WHERE bucket >= date_trunc('month', now(), 'UTC') AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
