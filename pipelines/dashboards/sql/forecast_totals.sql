-- What is to come, with the interval of the sum, which is no sum of intervals.
SELECT unique_id AS series, horizon, total AS expected, lo_80 AS "lower 80", hi_80 AS "upper 80", lo_95 AS "lower 95", hi_95 AS "upper 95", made_at AS made
FROM analytics.forecast_totals
WHERE run_id = (SELECT run_id FROM analytics.forecast_totals WHERE target = 'hourly cost_usd' ORDER BY made_at DESC LIMIT 1)
ORDER BY until, total DESC
LIMIT 50
