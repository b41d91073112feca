-- The latest forecast of the messages of a queue, whichever of its dimensions name the series.
SELECT
    ds AS "time", y_hat AS expected,
    lo_80 AS "lower 80", hi_80 AS "upper 80", lo_95 AS "lower 95", hi_95 AS "upper 95"
FROM analytics.forecasts
WHERE run_id = (
        SELECT run_id FROM analytics.forecasts
        WHERE target = 'hourly messages' AND source = 'rabbitmq_queues' AND unique_id ~ ('(^|/)' || regexp_replace(${queue:sqlstring}, '(\W)', '\\\1', 'g') || '$')
        ORDER BY made_at DESC LIMIT 1
    )
  AND unique_id ~ ('(^|/)' || regexp_replace(${queue:sqlstring}, '(\W)', '\\\1', 'g') || '$')
ORDER BY ds
