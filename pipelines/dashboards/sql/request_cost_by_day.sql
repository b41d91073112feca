-- USD per request, a day and part.
SELECT bucket AS "time", ${by:raw} AS metric, (sum(cost_usd) / nullif(sum(priced), 0))::float8 AS cost
FROM metrics.llm_requests_daily
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
GROUP BY 1, 2
HAVING sum(priced) > 0
ORDER BY 1, 2
