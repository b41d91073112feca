-- USD per million tokens, given and made, a day and model: it moves with prices, with caches, and with how much is made.
SELECT
    bucket AS "time", model AS metric,
    1e6 * sum(cost_usd)::float8 / nullif(sum(input_tokens) + sum(output_tokens), 0) AS cost
FROM metrics.llm_requests_daily
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
GROUP BY 1, 2
HAVING sum(cost_usd) > 0
ORDER BY 1, 2
