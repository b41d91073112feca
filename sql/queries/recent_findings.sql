-- What jobs have found lately, without what is muted: one row per kind of finding, target and severity.
--   :jobs   text[]  jobs of the schedule
--   :hours  int     how far back anomalies count; changes of level count for seven times as long
SELECT 'anomaly' AS kind, found.target, found.severity, count(DISTINCT (found.unique_id, found.ds)) AS findings, max(found.ds) AS latest
FROM analytics.anomalies AS found
JOIN analytics.report_run AS run ON run.run_id = found.run_id AND run.job = ANY (:jobs::text[])
WHERE found.ds >= now() - :hours * interval '1 hour'
  AND NOT EXISTS (
      SELECT FROM analytics.anomaly_verdicts AS said
      WHERE said.target = found.target AND said.removed_at IS NULL AND coalesce(said.unique_id, found.unique_id) = found.unique_id
        AND said.verdict IN ('mute', 'false') AND found.ds < said.until AND found.until > said.since
  )
GROUP BY found.target, found.severity
UNION ALL
SELECT 'change', found.target, '', count(*), max(found.ds)
FROM analytics.latest_good(:jobs::text[]) AS good
JOIN analytics.change_points AS found ON found.run_id = good.run_id
WHERE found.ds >= now() - :hours * interval '7 hours'
GROUP BY found.target
ORDER BY 1, 2, 3;
