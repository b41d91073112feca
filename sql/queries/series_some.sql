-- Some series of a source by their names, for a worker that was handed those: one row per series and bucket.
--   :source         text          llm_requests, llm_usage or rabbitmq_queues
--   :grain          text          hourly or daily
--   :value          text          what to add up: requests, cost_usd, ...; a column of the queue rollup
--   :by             text[]        dimensions that make a name, in its order; four at most
--   :ids            text[]        names wanted: the dimensions with "/" between them; null: all
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, provider, model, team, project, NULL::text AS cluster, NULL::text AS vhost, NULL::text AS queue,
           CASE :value WHEN 'requests' THEN requests WHEN 'errors' THEN errors WHEN 'input_tokens' THEN input_tokens
                       WHEN 'cached_tokens' THEN cached_tokens WHEN 'output_tokens' THEN output_tokens
                       WHEN 'reasoning_tokens' THEN reasoning_tokens WHEN 'cost_usd' THEN cost_usd END::numeric AS counted,
           NULL::float8 AS measured
    FROM metrics.llm_requests_hourly
    WHERE :source = 'llm_requests' AND :grain = 'hourly' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, provider, model, team, project, NULL, NULL, NULL,
           CASE :value WHEN 'requests' THEN requests WHEN 'errors' THEN errors WHEN 'input_tokens' THEN input_tokens
                       WHEN 'cached_tokens' THEN cached_tokens WHEN 'output_tokens' THEN output_tokens
                       WHEN 'reasoning_tokens' THEN reasoning_tokens WHEN 'cost_usd' THEN cost_usd END::numeric,
           NULL
    FROM metrics.llm_requests_daily
    WHERE :source = 'llm_requests' AND :grain = 'daily' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, provider, model, team, project, NULL, NULL, NULL,
           CASE :value WHEN 'requests' THEN requests WHEN 'input_tokens' THEN input_tokens
                       WHEN 'cached_tokens' THEN cached_tokens WHEN 'output_tokens' THEN output_tokens
                       WHEN 'reasoning_tokens' THEN reasoning_tokens WHEN 'cost_usd' THEN cost_usd END::numeric,
           NULL
    FROM metrics.llm_usage_hourly
    WHERE :source = 'llm_usage' AND :grain = 'hourly' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, provider, model, team, project, NULL, NULL, NULL,
           CASE :value WHEN 'requests' THEN requests WHEN 'input_tokens' THEN input_tokens
                       WHEN 'cached_tokens' THEN cached_tokens WHEN 'output_tokens' THEN output_tokens
                       WHEN 'reasoning_tokens' THEN reasoning_tokens WHEN 'cost_usd' THEN cost_usd END::numeric,
           NULL
    FROM metrics.llm_usage_daily
    WHERE :source = 'llm_usage' AND :grain = 'daily' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, NULL, NULL, NULL, NULL, cluster, vhost, queue, NULL,
           CASE :value WHEN 'avg_messages' THEN avg_messages WHEN 'avg_ready' THEN avg_ready WHEN 'avg_unacked' THEN avg_unacked
                       WHEN 'avg_consumers' THEN avg_consumers WHEN 'max_head_age' THEN max_head_age
                       WHEN 'avg_published_per_s' THEN avg_published_per_s WHEN 'avg_delivered_per_s' THEN avg_delivered_per_s
                       WHEN 'avg_acked_per_s' THEN avg_acked_per_s END
    FROM metrics.rabbitmq_metrics_hourly
    WHERE :source = 'rabbitmq_queues' AND :grain = 'hourly' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, NULL, NULL, NULL, NULL, cluster, vhost, queue, NULL,
           CASE :value WHEN 'avg_messages' THEN avg_messages WHEN 'avg_ready' THEN avg_ready WHEN 'avg_unacked' THEN avg_unacked
                       WHEN 'avg_consumers' THEN avg_consumers WHEN 'max_head_age' THEN max_head_age
                       WHEN 'avg_published_per_s' THEN avg_published_per_s WHEN 'avg_delivered_per_s' THEN avg_delivered_per_s
                       WHEN 'avg_acked_per_s' THEN avg_acked_per_s END
    FROM metrics.rabbitmq_metrics_daily
    WHERE :source = 'rabbitmq_queues' AND :grain = 'daily' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
),
-- A dimension at a place of the name that the caller chose; concat_ws leaves out the places that he did not use.
named AS (
    SELECT bucket, counted, measured, concat_ws('/',
        CASE (:by::text[])[1] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[2] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[3] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[4] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END
    ) AS unique_id
    FROM rollup
)
SELECT
    unique_id,
    bucket AS ds,
    CASE
        WHEN :source <> 'rabbitmq_queues' THEN coalesce(sum(counted), 0)::float8
        WHEN :value = 'max_head_age' THEN max(measured)
        ELSE sum(measured)
    END AS y
FROM named
WHERE :ids::text[] IS NULL OR unique_id = ANY (:ids::text[])
GROUP BY unique_id, bucket
ORDER BY unique_id COLLATE "C", bucket;
