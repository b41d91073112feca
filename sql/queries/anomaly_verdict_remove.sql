-- Take back what was said; it stays for its history.
UPDATE analytics.anomaly_verdicts
SET removed_at = now()
WHERE verdict_id = :verdict_id AND removed_at IS NULL
RETURNING verdict_id
