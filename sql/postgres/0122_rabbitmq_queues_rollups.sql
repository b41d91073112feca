-- Hourly and daily rollups of metrics.rabbitmq_queues: everything in them can be merged further.
-- What is stored, kept up to date by metrics.refresh_rollups():
CREATE TABLE metrics.rabbitmq_queues_hourly_stored (
    bucket              timestamptz,
    cluster             text,
    vhost               text,
    queue               text,
    samples             bigint NOT NULL,
    messages_samples    bigint NOT NULL,
    messages_sum        bigint,
    messages_sumsq      float8,
    messages_min        bigint,
    messages_max        bigint,
    messages_last       bigint,
    ready_sum           bigint,
    unacked_sum         bigint,
    consumers_samples   bigint NOT NULL,
    consumers_sum       bigint,
    consumers_min       integer,
    consumers_max       integer,
    head_age_max        float8,
    rate_samples        bigint NOT NULL,
    published_per_s_sum float8,
    delivered_per_s_sum float8,
    acked_per_s_sum     float8,
    published_per_s_max float8,
    delivered_per_s_max float8,
    acked_per_s_max     float8,
    PRIMARY KEY (bucket, cluster, vhost, queue)
);

CREATE TABLE metrics.rabbitmq_queues_daily_stored (LIKE metrics.rabbitmq_queues_hourly_stored INCLUDING ALL);

-- The hours from `since` to `until` (whole hours, half-open), worked out from the raw rows. With a setting of its own it is not taken
-- apart into the query that calls it, which would then not run in parallel.
CREATE FUNCTION metrics.rabbitmq_queues_rollup(since timestamptz, until timestamptz)
RETURNS SETOF metrics.rabbitmq_queues_hourly_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        date_trunc('hour', ts, 'UTC') AS bucket, cluster, vhost, queue,
        count(*)                                                                      AS samples,
        count(messages)                                                               AS messages_samples,
        sum(messages)::bigint                                                         AS messages_sum,
        sum(messages::float8 * messages)                                              AS messages_sumsq,
        min(messages)                                                                 AS messages_min,
        max(messages)                                                                 AS messages_max,
        (array_agg(messages ORDER BY ts DESC) FILTER (WHERE messages IS NOT NULL))[1] AS messages_last,
        sum(messages_ready)::bigint                                                   AS ready_sum,
        sum(messages_unacked)::bigint                                                 AS unacked_sum,
        count(consumers)                                                              AS consumers_samples,
        sum(consumers)::bigint                                                        AS consumers_sum,
        min(consumers)                                                                AS consumers_min,
        max(consumers)                                                                AS consumers_max,
        max(head_age_s)                                                               AS head_age_max,
        count(published_per_s)                                                        AS rate_samples,
        sum(published_per_s)                                                          AS published_per_s_sum,
        sum(delivered_per_s) FILTER (WHERE published_per_s IS NOT NULL)               AS delivered_per_s_sum,
        sum(acked_per_s) FILTER (WHERE published_per_s IS NOT NULL)                   AS acked_per_s_sum,
        max(published_per_s)                                                          AS published_per_s_max,
        max(delivered_per_s)                                                          AS delivered_per_s_max,
        max(acked_per_s)                                                              AS acked_per_s_max
    FROM metrics.rabbitmq_queues
    WHERE ts >= since AND ts < until
    GROUP BY 1, cluster, vhost, queue
$$;

-- What is read: the stored hours, and the changed ones straight from the raw rows.
CREATE VIEW metrics.rabbitmq_queues_hourly WITH (security_invoker = true) AS
SELECT * FROM metrics.rabbitmq_queues_hourly_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.rollup_log WHERE family = 'rabbitmq_queues' AND rollup_log.bucket = stored.bucket)
UNION ALL
SELECT live.* FROM metrics.changed_spans('rabbitmq_queues') AS span, metrics.rabbitmq_queues_rollup(span.since, span.until) AS live;

-- The days from `since` to `until` (whole days, half-open), merged from the hours.
CREATE FUNCTION metrics.rabbitmq_queues_merge(since timestamptz, until timestamptz)
RETURNS SETOF metrics.rabbitmq_queues_daily_stored
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT
        date_trunc('day', bucket, 'UTC') AS bucket, cluster, vhost, queue,
        sum(samples)::bigint                                                                        AS samples,
        sum(messages_samples)::bigint                                                               AS messages_samples,
        sum(messages_sum)::bigint                                                                   AS messages_sum,
        sum(messages_sumsq)                                                                         AS messages_sumsq,
        min(messages_min)                                                                           AS messages_min,
        max(messages_max)                                                                           AS messages_max,
        (array_agg(messages_last ORDER BY bucket DESC) FILTER (WHERE messages_last IS NOT NULL))[1] AS messages_last,
        sum(ready_sum)::bigint                                                                      AS ready_sum,
        sum(unacked_sum)::bigint                                                                    AS unacked_sum,
        sum(consumers_samples)::bigint                                                              AS consumers_samples,
        sum(consumers_sum)::bigint                                                                  AS consumers_sum,
        min(consumers_min)                                                                          AS consumers_min,
        max(consumers_max)                                                                          AS consumers_max,
        max(head_age_max)                                                                           AS head_age_max,
        sum(rate_samples)::bigint                                                                   AS rate_samples,
        sum(published_per_s_sum)                                                                    AS published_per_s_sum,
        sum(delivered_per_s_sum)                                                                    AS delivered_per_s_sum,
        sum(acked_per_s_sum)                                                                        AS acked_per_s_sum,
        max(published_per_s_max)                                                                    AS published_per_s_max,
        max(delivered_per_s_max)                                                                    AS delivered_per_s_max,
        max(acked_per_s_max)                                                                        AS acked_per_s_max
    FROM metrics.rabbitmq_queues_hourly AS hourly
    WHERE hourly.bucket >= since AND hourly.bucket < until
    GROUP BY 1, cluster, vhost, queue
$$;

CREATE VIEW metrics.rabbitmq_queues_daily WITH (security_invoker = true) AS
SELECT * FROM metrics.rabbitmq_queues_daily_stored AS stored
WHERE NOT EXISTS (SELECT FROM metrics.changed_days('rabbitmq_queues') AS span WHERE stored.bucket >= span.since AND stored.bucket < span.until)
UNION ALL
SELECT live.* FROM metrics.changed_days('rabbitmq_queues') AS span, metrics.rabbitmq_queues_merge(span.since, span.until) AS live;
