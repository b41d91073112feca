-- What is done by itself: one row per policy, times in UTC.
SELECT object, policy, setting, last_run, next_run, outcome
FROM metrics.policy_status
ORDER BY object, policy;
