-- Who spent what in the time that is shown, and what one request and a million tokens cost them.
SELECT
    team, project, model,
    sum(cost_usd)::float8                                                              AS cost,
    (sum(cost_usd) / nullif(sum(sum(cost_usd)) OVER (), 0))::float8                    AS share,
    sum(requests)::float8                                                              AS requests,
    (sum(cost_usd) / nullif(sum(priced), 0))::float8                                   AS "a request",
    (1e6 * sum(cost_usd)::float8 / nullif(sum(input_tokens) + sum(output_tokens), 0))  AS "a million tokens",
    sum(cached_tokens)::float8 / nullif(sum(input_tokens), 0)                          AS "from cache"
FROM metrics.llm_requests_daily
WHERE $__timeFilter(bucket) AND team IN (${team:sqlstring}) AND model IN (${model:sqlstring})
GROUP BY team, project, model
ORDER BY cost DESC NULLS LAST
LIMIT 100
