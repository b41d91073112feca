-- The latest forecast of a series, with its intervals.
SELECT
    ds AS "time", y_hat AS expected,
    lo_80 AS "lower 80", hi_80 AS "upper 80", lo_95 AS "lower 95", hi_95 AS "upper 95"
FROM analytics.forecasts
WHERE run_id = (SELECT run_id FROM analytics.forecasts WHERE target = 'hourly cost_usd' ORDER BY made_at DESC LIMIT 1)
  AND unique_id = ${series:sqlstring} AND $__timeFilter(ds)
ORDER BY ds
