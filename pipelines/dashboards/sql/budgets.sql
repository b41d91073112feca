-- Every budget as it stands, and how its period will probably end.
SELECT
    status.name, coalesce(status.team, 'all') AS team, status.period,
    status.limit_usd::float8 AS "limit", coalesce(outlook.spent_usd, status.spent_usd::float8) AS spent,
    coalesce(outlook.spent_usd, status.spent_usd::float8) / nullif(status.limit_usd, 0)::float8 AS used,
    outlook.total_usd AS expected, outlook.p_exceed AS chance, outlook.exhausted_at AS exhausted, status.resets_at AS resets, outlook.driver
FROM analytics.budget_status AS status
LEFT JOIN LATERAL (
    SELECT * FROM analytics.budget_outlooks AS told
    WHERE told.budget = status.name AND told.resets_at > now()
    ORDER BY told.made_at DESC LIMIT 1
) AS outlook ON true
WHERE status.enabled
ORDER BY outlook.p_exceed DESC NULLS LAST, used DESC NULLS LAST
