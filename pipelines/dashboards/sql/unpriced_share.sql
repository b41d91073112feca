-- Share of the good requests that no price was known for: their cost is in no sum.
SELECT sum(unpriced)::float8 / nullif(sum(requests - errors - cancelled), 0) AS share
FROM metrics.llm_requests_daily
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
