-- Series of which the latest run has forecast the cost; the whole first.
SELECT DISTINCT unique_id, unique_id <> 'total' AS part
FROM analytics.forecasts
WHERE run_id = (SELECT run_id FROM analytics.forecasts WHERE target = 'hourly cost_usd' ORDER BY made_at DESC LIMIT 1)
ORDER BY part, unique_id
