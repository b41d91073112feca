-- Stored forecasts beside what came: one row per run, series and bucket that is over, the latest forecast of a bucket first.
--   :target         text          what was forecast, as in analytics.forecasts: hourly cost_usd; null: all
--   :since, :until  timestamptz   buckets from, to (half-open)
--   :lead_h         float8        hours between the end of the training span and the bucket, at most; null: any
WITH stored AS MATERIALIZED (
    SELECT *, split_part(target, ' ', 1) AS grain, split_part(target, ' ', 2) AS value
    FROM analytics.forecasts
    WHERE (:target::text IS NULL OR target = :target)
      AND ds >= :since::timestamptz AND ds < :until::timestamptz
      AND (:lead_h::float8 IS NULL OR ds - trained_until <= :lead_h * interval '1 hour')
      AND source IN ('llm_requests', 'llm_usage', 'rabbitmq_queues') AND by IS NOT NULL
      AND unique_id <> 'other'
),
-- Of each kind of series once: its buckets are read for all runs together, and only where there are such series.
kinds AS (
    SELECT DISTINCT source, grain, value, by, unique_id = 'total' AND by <> '{}' AS summed FROM stored
),
rollup AS MATERIALIZED (
    SELECT 'llm_requests' AS source, 'hourly' AS grain, bucket, provider, model, team, project,
           NULL::text AS cluster, NULL::text AS vhost, NULL::text AS queue,
           requests, errors, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd::float8 AS cost_usd, NULL::float8 AS messages
    FROM metrics.llm_requests_hourly
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'llm_requests' AND grain = 'hourly')
    UNION ALL
    SELECT 'llm_requests', 'daily', bucket, provider, model, team, project, NULL, NULL, NULL,
           requests, errors, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd::float8, NULL
    FROM metrics.llm_requests_daily
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'llm_requests' AND grain = 'daily')
    UNION ALL
    SELECT 'llm_usage', 'hourly', bucket, provider, model, team, project, NULL, NULL, NULL,
           requests, NULL, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd::float8, NULL
    FROM metrics.llm_usage_hourly
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'llm_usage' AND grain = 'hourly')
    UNION ALL
    SELECT 'llm_usage', 'daily', bucket, provider, model, team, project, NULL, NULL, NULL,
           requests, NULL, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd::float8, NULL
    FROM metrics.llm_usage_daily
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'llm_usage' AND grain = 'daily')
    UNION ALL
    SELECT 'rabbitmq_queues', 'hourly', bucket, NULL, NULL, NULL, NULL, cluster, vhost, queue,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, avg_messages
    FROM metrics.rabbitmq_metrics_hourly
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'rabbitmq_queues' AND grain = 'hourly')
    UNION ALL
    SELECT 'rabbitmq_queues', 'daily', bucket, NULL, NULL, NULL, NULL, cluster, vhost, queue,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, avg_messages
    FROM metrics.rabbitmq_metrics_daily
    WHERE bucket >= :since::timestamptz AND bucket < :until::timestamptz
      AND EXISTS (SELECT FROM kinds WHERE source = 'rabbitmq_queues' AND grain = 'daily')
),
came AS MATERIALIZED (
    SELECT kinds.source, kinds.grain, kinds.value, kinds.by, rollup.bucket, named.unique_id,
           sum(CASE kinds.value
               WHEN 'requests' THEN requests WHEN 'errors' THEN errors WHEN 'input_tokens' THEN input_tokens
               WHEN 'cached_tokens' THEN cached_tokens WHEN 'output_tokens' THEN output_tokens
               WHEN 'reasoning_tokens' THEN reasoning_tokens WHEN 'cost_usd' THEN cost_usd WHEN 'messages' THEN messages
           END)::float8 AS y
    FROM kinds
    JOIN rollup USING (source, grain)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN kinds.summed OR kinds.by = '{}' THEN 'total' ELSE (
            SELECT string_agg(CASE dimension
                WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END, '/' ORDER BY place)
            FROM unnest(kinds.by) WITH ORDINALITY AS dims (dimension, place)
        ) END AS unique_id
    ) AS named
    GROUP BY 1, 2, 3, 4, 5, 6
),
-- The hour in progress is not over. Nothing there is no traffic; a queue that nobody saw is not known.
over AS (
    SELECT 'llm_requests' AS source, max(bucket) AS latest FROM metrics.llm_requests_hourly
    UNION ALL
    SELECT 'llm_usage', max(bucket) FROM metrics.llm_usage_hourly
    UNION ALL
    SELECT 'rabbitmq_queues', max(bucket) FROM metrics.rabbitmq_queues_hourly
),
-- Side by side without a join: nobody tells the planner how many rows there are before the table has been analysed.
beside AS (
    SELECT run_id, made_at, target, source, grain, value, by, unique_id, ds, y_hat, lo_80, hi_80, lo_95, hi_95, engine, trained_from, trained_until,
           NULL::float8 AS y
    FROM stored
    UNION ALL
    SELECT NULL, NULL, NULL, source, grain, value, by, unique_id, bucket, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, y
    FROM came
),
matched AS (
    SELECT *, max(y) OVER (PARTITION BY ds, unique_id COLLATE "C", value COLLATE "C", grain COLLATE "C", source COLLATE "C", by) AS came FROM beside
)
SELECT
    run_id, made_at, target, matched.source, by, unique_id, ds,
    extract(epoch FROM ds - trained_until)::float8 / 3600 AS lead_h,
    coalesce(came, CASE WHEN matched.source <> 'rabbitmq_queues' THEN 0 END) AS y,
    y_hat, lo_80, hi_80, lo_95, hi_95, engine, trained_from, trained_until
FROM matched
JOIN over ON over.source = matched.source AND ds + CASE grain WHEN 'daily' THEN interval '1 day' ELSE interval '1 hour' END <= over.latest
WHERE run_id IS NOT NULL
ORDER BY target COLLATE "C", unique_id COLLATE "C", ds, made_at DESC;
