-- Hourly and daily rollups of metrics.rabbitmq_queues: everything in them can be merged further.
CREATE MATERIALIZED VIEW metrics.rabbitmq_queues_hourly_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 hour', ts) AS bucket, cluster, vhost, queue,
    count(*)                                                        AS samples,
    count(messages)                                                 AS messages_samples,
    sum(messages)::bigint                                           AS messages_sum,
    sum(messages::float8 * messages)                                AS messages_sumsq,
    min(messages)                                                   AS messages_min,
    max(messages)                                                   AS messages_max,
    last(messages, ts) FILTER (WHERE messages IS NOT NULL)          AS messages_last,
    sum(messages_ready)::bigint                                     AS ready_sum,
    sum(messages_unacked)::bigint                                   AS unacked_sum,
    count(consumers)                                                AS consumers_samples,
    sum(consumers)::bigint                                          AS consumers_sum,
    min(consumers)                                                  AS consumers_min,
    max(consumers)                                                  AS consumers_max,
    max(head_age_s)                                                 AS head_age_max,
    count(published_per_s)                                          AS rate_samples,
    sum(published_per_s)                                            AS published_per_s_sum,
    sum(delivered_per_s) FILTER (WHERE published_per_s IS NOT NULL) AS delivered_per_s_sum,
    sum(acked_per_s) FILTER (WHERE published_per_s IS NOT NULL)     AS acked_per_s_sum,
    max(published_per_s)                                            AS published_per_s_max,
    max(delivered_per_s)                                            AS delivered_per_s_max,
    max(acked_per_s)                                                AS acked_per_s_max
FROM metrics.rabbitmq_queues
GROUP BY 1, cluster, vhost, queue
WITH NO DATA;

CREATE MATERIALIZED VIEW metrics.rabbitmq_queues_daily_stored
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT
    time_bucket('1 day', bucket) AS bucket, cluster, vhost, queue,
    sum(samples)::bigint                                                 AS samples,
    sum(messages_samples)::bigint                                        AS messages_samples,
    sum(messages_sum)::bigint                                            AS messages_sum,
    sum(messages_sumsq)                                                  AS messages_sumsq,
    min(messages_min)                                                    AS messages_min,
    max(messages_max)                                                    AS messages_max,
    last(messages_last, bucket) FILTER (WHERE messages_last IS NOT NULL) AS messages_last,
    sum(ready_sum)::bigint                                               AS ready_sum,
    sum(unacked_sum)::bigint                                             AS unacked_sum,
    sum(consumers_samples)::bigint                                       AS consumers_samples,
    sum(consumers_sum)::bigint                                           AS consumers_sum,
    min(consumers_min)                                                   AS consumers_min,
    max(consumers_max)                                                   AS consumers_max,
    max(head_age_max)                                                    AS head_age_max,
    sum(rate_samples)::bigint                                            AS rate_samples,
    sum(published_per_s_sum)                                             AS published_per_s_sum,
    sum(delivered_per_s_sum)                                             AS delivered_per_s_sum,
    sum(acked_per_s_sum)                                                 AS acked_per_s_sum,
    max(published_per_s_max)                                             AS published_per_s_max,
    max(delivered_per_s_max)                                             AS delivered_per_s_max,
    max(acked_per_s_max)                                                 AS acked_per_s_max
FROM metrics.rabbitmq_queues_hourly_stored
GROUP BY 1, cluster, vhost, queue
WITH NO DATA;

-- What is read.
CREATE VIEW metrics.rabbitmq_queues_hourly AS SELECT * FROM metrics.rabbitmq_queues_hourly_stored;
CREATE VIEW metrics.rabbitmq_queues_daily AS SELECT * FROM metrics.rabbitmq_queues_daily_stored;
