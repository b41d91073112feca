-- Every budget with the period that a moment is in: what may be spent in it, and what the ledger has booked.
--   :at  timestamptz  the moment
SELECT
    name, team, project, model, key IS NOT NULL AS by_key, period, budgets.limit_usd::float8 AS limit_usd,
    coalesce(booked.settled_usd, 0)::float8 AS booked_usd, span.starts_at, span.ends_at
FROM analytics.budgets
CROSS JOIN LATERAL analytics.budget_span(budgets.period, :at::timestamptz) AS span
LEFT JOIN analytics.budget_periods AS booked ON booked.budget_id = budgets.budget_id AND booked.starts_at = span.starts_at
WHERE removed_at IS NULL AND enabled
ORDER BY name;
