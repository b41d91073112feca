-- What was left of a budget after each hour of its period, and what would be left at an even pace. A budget of one key has no past here:
-- the rollups know no keys.
WITH chosen AS (
    SELECT team, project, replace(model, '*', '%') AS model, limit_usd::float8 AS most, starts_at, resets_at
    FROM analytics.budget_status
    WHERE name = ${budget:sqlstring} AND key IS NULL
),
hours AS (
    SELECT spent.bucket, sum(spent.cost_usd)::float8 AS cost
    FROM chosen, metrics.llm_requests_hourly AS spent
    WHERE spent.bucket >= (SELECT starts_at FROM chosen) AND spent.bucket < (SELECT resets_at FROM chosen) -- known before the scan
      AND (chosen.team IS NULL OR spent.team = chosen.team) AND (chosen.project IS NULL OR spent.project = chosen.project)
      AND (chosen.model IS NULL OR spent.model LIKE chosen.model)
    GROUP BY spent.bucket
)
SELECT
    tick.at AS "time",
    most - coalesce(sum(cost) OVER (ORDER BY tick.at), 0)                                            AS "left",
    most * (1 - extract(epoch FROM tick.at - starts_at) / extract(epoch FROM resets_at - starts_at)) AS "even pace"
FROM chosen
CROSS JOIN LATERAL generate_series(starts_at, least(resets_at, now()), interval '1 hour') AS tick (at)
LEFT JOIN hours ON hours.bucket = tick.at - interval '1 hour'
ORDER BY 1
