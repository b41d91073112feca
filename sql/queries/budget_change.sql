-- Another limit, other soft limits. What a budget counts, and over which period, never changes: its ledger would be of neither.
UPDATE analytics.budgets
SET limit_usd = :limit_usd, soft_limits = :soft_limits, webhook_url = :webhook_url, enabled = :enabled,
    changed_at = now(), changed_by = session_user
WHERE name = :name AND removed_at IS NULL;
