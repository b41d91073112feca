-- Counts no more; what it has spent stays in the history.
UPDATE analytics.budgets
SET removed_at = now(), changed_at = now(), changed_by = session_user
WHERE name = :name AND removed_at IS NULL;
