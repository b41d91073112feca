-- Keep what somebody said of a stretch of a series.
INSERT INTO analytics.anomaly_verdicts (target, unique_id, since, until, verdict, score, reason)
VALUES (:target, :unique_id, :since, :until, :verdict, :score, :reason)
RETURNING verdict_id
