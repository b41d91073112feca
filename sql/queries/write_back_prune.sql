-- Remove what runs of the same job wrote before a moment.
--   :run_id  uuid         a run of the job
--   :before  timestamptz
WITH earlier AS (
    SELECT other.run_id
    FROM analytics.report_run AS this
    JOIN analytics.report_run AS other ON other.job = this.job AND other.started_at < :before
    WHERE this.run_id = :run_id
),
forecasts AS (
    DELETE FROM analytics.forecasts WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier)
),
totals AS (
    DELETE FROM analytics.forecast_totals WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier)
),
anomalies AS (
    DELETE FROM analytics.anomalies WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier)
),
changes AS (
    DELETE FROM analytics.change_points WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier)
),
budgets AS (
    DELETE FROM analytics.budget_outlooks WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier)
)
DELETE FROM analytics.queue_outlooks WHERE made_at < :before AND run_id IN (SELECT run_id FROM earlier);
