-- The rollups as people read them: averages instead of sums. Average them again and they are wrong; merge the rollups instead.
CREATE VIEW metrics.llm_metrics_hourly WITH (security_invoker = true) AS
SELECT
    bucket, provider, model, team, project, requests, errors,
    errors_rate_limit, errors_timeout, errors_server, errors_client, errors_other,
    ttft_sum / nullif(ttft_count, 0)         AS avg_ttft,
    duration_sum / nullif(duration_count, 0) AS avg_duration,
    tps_sum / nullif(tpot_count, 0)          AS avg_tps,
    input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    cost_usd::float8                         AS total_cost,
    unpriced, unmetered,
    ttft_hist, duration_hist, tpot_hist
FROM metrics.llm_requests_hourly;

CREATE VIEW metrics.llm_metrics_daily WITH (security_invoker = true) AS
SELECT
    bucket, provider, model, team, project, requests, errors,
    errors_rate_limit, errors_timeout, errors_server, errors_client, errors_other,
    ttft_sum / nullif(ttft_count, 0)         AS avg_ttft,
    duration_sum / nullif(duration_count, 0) AS avg_duration,
    tps_sum / nullif(tpot_count, 0)          AS avg_tps,
    input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    cost_usd::float8                         AS total_cost,
    unpriced, unmetered,
    ttft_hist, duration_hist, tpot_hist
FROM metrics.llm_requests_daily;

CREATE VIEW metrics.rabbitmq_metrics_hourly WITH (security_invoker = true) AS
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
FROM metrics.rabbitmq_queues_hourly;

CREATE VIEW metrics.rabbitmq_metrics_daily WITH (security_invoker = true) AS
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
FROM metrics.rabbitmq_queues_daily;
