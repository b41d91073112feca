-- Budgets that are switched on.
SELECT name FROM analytics.budget_status WHERE enabled ORDER BY name
