-- What runs out, and when: budgets, and queues that have a limit.
SELECT what, name, exhausted AS "when", chance
FROM (
    SELECT 'budget' AS what, latest.budget AS name, latest.exhausted_at AS exhausted, latest.p_exceed AS chance
    FROM (SELECT DISTINCT ON (budget) * FROM analytics.budget_outlooks WHERE resets_at > now() ORDER BY budget, made_at DESC) AS latest
    UNION ALL
    SELECT 'queue', queue.vhost || ' ' || queue.queue || ' of ' || queue.cluster, queue.trained_until + make_interval(secs => least(queue.full_s, 3e8)), queue.p_full
    FROM analytics.queue_outlooks AS queue
    WHERE queue.run_id = (SELECT run_id FROM analytics.queue_outlooks ORDER BY made_at DESC LIMIT 1)
) AS all_of_them
WHERE exhausted < now() + interval '90 days' OR chance > 0.05
ORDER BY exhausted NULLS LAST, chance DESC NULLS LAST
LIMIT 50
