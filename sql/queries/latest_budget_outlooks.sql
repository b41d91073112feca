-- Budgets as the latest good run of each job saw them: one row per job and budget.
--   :jobs  text[]  jobs of the schedule
SELECT
    good.job, good.slot, budgets.budget, budgets.starts_at, budgets.resets_at, budgets.limit_usd, budgets.spent_usd, budgets.total_usd,
    budgets.lo_80, budgets.hi_80, budgets.lo_95, budgets.hi_95, budgets.p_exceed, budgets.run_rate_usd,
    budgets.exhausted_at, budgets.exhausted_lo_80, budgets.exhausted_hi_80, budgets.driver,
    budgets.engine, budgets.trained_from, budgets.trained_until, budgets.made_at, budgets.run_id
FROM analytics.latest_good(:jobs::text[]) AS good
JOIN analytics.budget_outlooks AS budgets ON budgets.run_id = good.run_id
ORDER BY good.job, budgets.budget;
