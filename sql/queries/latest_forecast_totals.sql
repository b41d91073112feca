-- Sums that the latest good run of each job has forecast: one row per job, horizon and series.
--   :jobs  text[]  jobs of the schedule
SELECT
    good.job, good.slot, totals.target, totals.source, array_to_string(totals.by, ',') AS by, totals.unique_id, totals.horizon,
    totals.since, totals.until, totals.total, totals.lo_80, totals.hi_80, totals.lo_95, totals.hi_95,
    totals.engine, totals.trained_from, totals.trained_until, totals.made_at, totals.run_id
FROM analytics.latest_good(:jobs::text[]) AS good
JOIN analytics.forecast_totals AS totals ON totals.run_id = good.run_id
ORDER BY good.job, totals.horizon, totals.unique_id;
