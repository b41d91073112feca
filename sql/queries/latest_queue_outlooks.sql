-- Queues as the latest good run of each job saw them: one row per job and queue, those that are full soonest first.
--   :jobs  text[]  jobs of the schedule
SELECT
    good.job, good.slot, queues.cluster, queues.vhost, queues.queue, queues.horizon_s, queues.messages, queues.consumers,
    queues.arriving_per_s, queues.served_per_s, queues.capacity_per_s, queues.capacity_seen, queues.utilisation, queues.age_s,
    queues.drain_s, queues.max_length, queues.full_s, queues.p_full, queues.peak_messages, queues.consumers_needed,
    queues.arriving_ahead_per_s, queues.engine, queues.trained_from, queues.trained_until, queues.made_at, queues.run_id
FROM analytics.latest_good(:jobs::text[]) AS good
JOIN analytics.queue_outlooks AS queues ON queues.run_id = good.run_id
ORDER BY good.job, queues.full_s NULLS LAST, queues.p_full DESC NULLS LAST, queues.messages DESC, queues.cluster, queues.vhost, queues.queue;
