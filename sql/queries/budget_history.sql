-- What budgets have spent period by period, newest first; those that were removed since are among them.
--   :name   text         a budget, null: all
--   :since  timestamptz  periods that begin then or later
SELECT
    name, removed_at IS NOT NULL AS removed, period, starts_at, booked.limit_usd, settled_usd AS spent_usd, expired_usd,
    overrun_usd, calls, refused_at
FROM analytics.budget_periods AS booked
JOIN analytics.budgets USING (budget_id)
WHERE (:name::text IS NULL OR name = :name) AND starts_at >= :since::timestamptz
ORDER BY starts_at DESC, name, budget_id DESC;
