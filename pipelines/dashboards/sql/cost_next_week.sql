-- What the coming seven days will cost, as the latest run has it.
SELECT total AS cost
FROM analytics.forecast_totals
WHERE target = 'hourly cost_usd' AND unique_id = 'total' AND horizon = '7d'
ORDER BY made_at DESC LIMIT 1
