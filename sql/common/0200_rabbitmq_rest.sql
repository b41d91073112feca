-- Of a broker with more queues than are kept one by one, the others are added up: one row per vhost and sample, whose queue is ''.
-- AMQP gives no queue that name. The raw table and its rollups hold these rows, so that sums over queues are whole;
-- whatever lists queues leaves them out.
COMMENT ON TABLE  metrics.rabbitmq_queues IS 'one row per queue and sample; queue '''': the sum of the queues of a vhost that have no row, attrs.queues of them';
COMMENT ON COLUMN metrics.rabbitmq_queues.queue IS 'name; '''': the sum of the queues of the vhost that have no row of their own';

CREATE OR REPLACE VIEW metrics.rabbitmq_metrics_hourly WITH (security_invoker = true) AS
SELECT
    bucket, cluster, vhost, queue, samples,
    messages_sum::float8 / nullif(messages_samples, 0)   AS avg_messages,
    messages_min                                         AS min_messages,
    messages_max                                         AS max_messages,
    messages_last                                        AS last_messages,
    ready_sum::float8 / nullif(messages_samples, 0)      AS avg_ready,
    unacked_sum::float8 / nullif(messages_samples, 0)    AS avg_unacked,
    consumers_sum::float8 / nullif(consumers_samples, 0) AS avg_consumers,
    consumers_min                                        AS min_consumers,
    consumers_max                                        AS max_consumers,
    head_age_max                                         AS max_head_age,
    published_per_s_sum / nullif(rate_samples, 0)        AS avg_published_per_s,
    delivered_per_s_sum / nullif(rate_samples, 0)        AS avg_delivered_per_s,
    acked_per_s_sum / nullif(rate_samples, 0)            AS avg_acked_per_s
FROM metrics.rabbitmq_queues_hourly
WHERE queue <> '';

CREATE OR REPLACE VIEW metrics.rabbitmq_metrics_daily WITH (security_invoker = true) AS
SELECT
    bucket, cluster, vhost, queue, samples,
    messages_sum::float8 / nullif(messages_samples, 0)   AS avg_messages,
    messages_min                                         AS min_messages,
    messages_max                                         AS max_messages,
    messages_last                                        AS last_messages,
    ready_sum::float8 / nullif(messages_samples, 0)      AS avg_ready,
    unacked_sum::float8 / nullif(messages_samples, 0)    AS avg_unacked,
    consumers_sum::float8 / nullif(consumers_samples, 0) AS avg_consumers,
    consumers_min                                        AS min_consumers,
    consumers_max                                        AS max_consumers,
    head_age_max                                         AS max_head_age,
    published_per_s_sum / nullif(rate_samples, 0)        AS avg_published_per_s,
    delivered_per_s_sum / nullif(rate_samples, 0)        AS avg_delivered_per_s,
    acked_per_s_sum / nullif(rate_samples, 0)            AS avg_acked_per_s
FROM metrics.rabbitmq_queues_daily
WHERE queue <> '';

CREATE OR REPLACE FUNCTION grafana.queues(since timestamptz, until timestamptz) RETURNS SETOF metrics.rabbitmq_queues
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.rabbitmq_queues WHERE ts >= since AND ts < until AND queue <> '' ORDER BY ts DESC LIMIT 10000
$$;
