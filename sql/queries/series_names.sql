-- The names of the series of a source over a span: the dimensions with "/" between them, one row each.
--   :source         text          llm_requests, llm_usage or rabbitmq_queues
--   :by             text[]        dimensions that make a name, in its order; four at most
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH found AS (
    SELECT DISTINCT provider, model, team, project, NULL::text AS cluster, NULL::text AS vhost, NULL::text AS queue
    FROM metrics.llm_requests_daily
    WHERE :source = 'llm_requests' AND bucket >= date_trunc('day', :since::timestamptz, 'UTC') AND bucket < :until::timestamptz
    UNION ALL
    SELECT DISTINCT provider, model, team, project, NULL, NULL, NULL
    FROM metrics.llm_usage_daily
    WHERE :source = 'llm_usage' AND bucket >= date_trunc('day', :since::timestamptz, 'UTC') AND bucket < :until::timestamptz
    UNION ALL
    SELECT DISTINCT NULL, NULL, NULL, NULL, cluster, vhost, queue
    FROM metrics.rabbitmq_metrics_daily
    WHERE :source = 'rabbitmq_queues' AND bucket >= date_trunc('day', :since::timestamptz, 'UTC') AND bucket < :until::timestamptz
),
named AS (
    SELECT concat_ws('/',
        CASE (:by::text[])[1] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[2] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[3] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END,
        CASE (:by::text[])[4] WHEN 'provider' THEN provider WHEN 'model' THEN model WHEN 'team' THEN team WHEN 'project' THEN project
                              WHEN 'cluster' THEN cluster WHEN 'vhost' THEN vhost WHEN 'queue' THEN queue END
    ) AS unique_id
    FROM found
)
SELECT DISTINCT unique_id COLLATE "C" AS unique_id
FROM named
ORDER BY 1;
