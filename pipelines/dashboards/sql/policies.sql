-- What keeps the store in order, and when it last ran.
SELECT object, policy, setting, last_run AS "last run", outcome FROM metrics.policy_status ORDER BY policy, object
