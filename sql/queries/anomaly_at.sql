-- The finding of one series that holds a moment, as it was saved last: at most one row.
--   :target     text         what is watched, as in analytics.anomalies
--   :unique_id  text         the series
--   :at         timestamptz  a moment of the finding
SELECT ds, until, score
FROM analytics.anomalies
WHERE target = :target AND unique_id = :unique_id AND ds <= :at AND until > :at
ORDER BY made_at DESC, ds DESC
LIMIT 1
