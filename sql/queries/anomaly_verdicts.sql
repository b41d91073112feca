-- What was said of a target and counts.
SELECT verdict_id, unique_id, since, until, verdict, score, reason, made_at, made_by
FROM analytics.anomaly_verdicts
WHERE target = :target AND removed_at IS NULL
ORDER BY verdict_id
