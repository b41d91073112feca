-- Cost of the twelve that cost most, and of the others together, by day or hour.
WITH shown AS (
    SELECT bucket, ${by:raw} AS part, sum(cost_usd)::float8 AS cost
    FROM metrics.llm_requests_{rollup}
    WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
    GROUP BY bucket, part
),
largest AS (
    SELECT part FROM shown GROUP BY part ORDER BY sum(cost) DESC NULLS LAST LIMIT 12
)
SELECT bucket AS "time", coalesce(largest.part, 'other') AS metric, sum(cost) AS cost
FROM shown LEFT JOIN largest USING (part)
GROUP BY 1, 2
ORDER BY 1, 2
