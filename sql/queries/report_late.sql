-- What has changed of the days that the last good run of the same report saw: one row if any did, with how many rows came late and how many are gone.
--   :run_id         uuid          the run that asks
--   :source         text          llm_requests, llm_usage or rabbitmq_queues
--   :since, :until  timestamptz   whole hours from, to (half-open); days (UTC) that they touch are looked at
WITH before AS (
    SELECT run.started_at, date_trunc('hour', run.started_at, 'UTC') - interval '1 hour' AS seen_until, run.data_rows -> :source AS seen
    FROM analytics.report_run AS this
    JOIN analytics.report_run AS run USING (report)
    WHERE this.run_id = :run_id AND run.job IS NOT DISTINCT FROM this.job AND run.outcome = 'ok' AND run.started_at < this.started_at
      AND run.data_rows ? :source
    ORDER BY run.started_at DESC LIMIT 1
),
changed AS (
    SELECT coalesce(now.day, noted.day) AS day, coalesce(now.held, 0) - coalesce(noted.held, 0) AS more
    FROM (SELECT key::date AS day, value::bigint AS held FROM before, jsonb_each_text(seen)) AS noted
    FULL JOIN (
        SELECT now.*
        FROM before, analytics.rows_by_day(:source, date_trunc('day', started_at, 'UTC') - interval '840 hours', seen_until) AS now
    ) AS now ON now.day = noted.day
)
SELECT
    (SELECT started_at FROM before)                          AS report_at,
    (sum(more) FILTER (WHERE more > 0))::bigint              AS late,
    (min(day) FILTER (WHERE more > 0))::text                 AS late_first,
    (max(day) FILTER (WHERE more > 0))::text                 AS late_last,
    (-sum(more) FILTER (WHERE more < 0))::bigint             AS gone,
    (min(day) FILTER (WHERE more < 0))::text                 AS gone_first,
    (max(day) FILTER (WHERE more < 0))::text                 AS gone_last
FROM changed
WHERE more <> 0 AND day >= (:since::timestamptz AT TIME ZONE 'UTC')::date AND day < :until::timestamptz AT TIME ZONE 'UTC'
HAVING count(*) > 0;
