-- What the series that is forecast has cost an hour; a series of several dimensions, and "other", have no past here.
SELECT bucket AS "time", sum(cost_usd)::float8 AS actual
FROM metrics.llm_requests_hourly
WHERE $__timeFilter(bucket)
  AND (
      ${series:sqlstring} = 'total'
      OR ${series:sqlstring} = CASE (SELECT array_to_string(by, ',') FROM analytics.forecasts WHERE target = 'hourly cost_usd' ORDER BY made_at DESC LIMIT 1)
          WHEN 'team' THEN team WHEN 'project' THEN project WHEN 'model' THEN model WHEN 'provider' THEN provider
      END
  )
GROUP BY 1
ORDER BY 1
