-- A new budget.
INSERT INTO analytics.budgets (name, team, project, model, key, period, limit_usd, soft_limits, webhook_url, enabled)
VALUES (:name, :team, :project, :model, :key, :period, :limit_usd, :soft_limits, :webhook_url, :enabled);
