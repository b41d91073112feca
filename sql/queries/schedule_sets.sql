-- The values of one dimension in the requests of the last weeks, the busiest first: one row each.
--   :dimension  text  team, project, provider or model
--   :days       int   how far back
--   :most       int   how many at most
SELECT name
FROM (
    SELECT requests,
           CASE :dimension WHEN 'team' THEN team WHEN 'project' THEN project WHEN 'provider' THEN provider WHEN 'model' THEN model END AS name
    FROM metrics.llm_requests_daily
    WHERE bucket >= date_trunc('day', now(), 'UTC') - :days * interval '1 day'
) AS seen
WHERE name <> ''
GROUP BY name
ORDER BY sum(requests) DESC, name
LIMIT :most;
