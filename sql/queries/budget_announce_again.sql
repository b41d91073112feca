-- After a change of its limits a budget announces what it reaches from now on.
UPDATE analytics.budget_periods AS booked
SET limit_usd = budgets.limit_usd, announced = 0, refused_at = NULL
FROM analytics.budgets
WHERE budgets.budget_id = booked.budget_id AND name = :name AND removed_at IS NULL AND ends_at > now();
