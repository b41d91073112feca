-- The cron expression by which each job runs now: that which a tick saw first the latest.
SELECT DISTINCT ON (job) job, cron FROM analytics.report_job ORDER BY job, since DESC;
