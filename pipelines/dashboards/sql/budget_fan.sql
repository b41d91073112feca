-- From what is left now to what will be left when the period ends, as the latest run has it.
SELECT
    point.at AS "time",
    point.expected AS "expected left", point.lo_80 AS "lower 80", point.hi_80 AS "upper 80", point.lo_95 AS "lower 95", point.hi_95 AS "upper 95"
FROM (
    SELECT * FROM analytics.budget_outlooks
    WHERE budget = ${budget:sqlstring} AND resets_at > now()
    ORDER BY made_at DESC LIMIT 1
) AS outlook
CROSS JOIN LATERAL (VALUES
    (trained_until, limit_usd - spent_usd, limit_usd - spent_usd, limit_usd - spent_usd, limit_usd - spent_usd, limit_usd - spent_usd),
    (resets_at,     limit_usd - total_usd, limit_usd - hi_80,     limit_usd - lo_80,     limit_usd - hi_95,     limit_usd - lo_95)
) AS point (at, expected, lo_80, hi_80, lo_95, hi_95)
ORDER BY 1
