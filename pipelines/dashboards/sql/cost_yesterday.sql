-- What yesterday had cost by this hour, and not by the end of the day: that can be compared.
SELECT coalesce(sum(cost_usd), 0)::float8 AS cost
FROM metrics.llm_requests_hourly
WHERE bucket >= date_trunc('day', now(), 'UTC') - interval '1 day' AND bucket < date_trunc('hour', now(), 'UTC') - interval '1 day'
  AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
