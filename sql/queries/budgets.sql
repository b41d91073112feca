-- Every budget as it stands in its current period.
SELECT
    name, team, project, model, key, period, limit_usd, soft_limits, enabled, spent_usd, reserved_usd, left_usd,
    expired_usd, overrun_usd, calls, refused_at, starts_at, resets_at
FROM analytics.budget_status
ORDER BY name;
