-- What the time that is shown has cost.
SELECT coalesce(sum(cost_usd), 0)::float8 AS cost
FROM metrics.llm_requests_daily
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
