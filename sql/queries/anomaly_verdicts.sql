-- What was said of the findings of a target and still counts: one row per verdict, the oldest first.
--   :target  text  what is watched, as in analytics.anomalies
SELECT verdict_id, unique_id, since, until, verdict, score, reason, made_at, made_by
FROM analytics.anomaly_verdicts
WHERE target = :target AND removed_at IS NULL
ORDER BY verdict_id
