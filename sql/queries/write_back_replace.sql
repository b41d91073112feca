-- Remove what other runs of the same slot of the same job have written: the rows of a slot are those of one run.
--   :run_id  uuid  of the ledger
WITH others AS (
    SELECT other.run_id
    FROM analytics.report_run AS this
    JOIN analytics.report_run AS other ON other.job = this.job AND other.slot = this.slot AND other.run_id <> this.run_id
    WHERE this.run_id = :run_id
),
forecasts AS (
    DELETE FROM analytics.forecasts WHERE run_id IN (SELECT run_id FROM others)
),
totals AS (
    DELETE FROM analytics.forecast_totals WHERE run_id IN (SELECT run_id FROM others)
),
changes AS (
    DELETE FROM analytics.change_points WHERE run_id IN (SELECT run_id FROM others)
),
budgets AS (
    DELETE FROM analytics.budget_outlooks WHERE run_id IN (SELECT run_id FROM others)
)
DELETE FROM analytics.queue_outlooks WHERE run_id IN (SELECT run_id FROM others);
