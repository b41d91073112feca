-- Lasting changes of what is spent, as the latest run sees them.
SELECT ds AS "since", unique_id AS series, before, after, relative
FROM analytics.change_points
WHERE run_id = (SELECT run_id FROM analytics.change_points WHERE target ~ 'cost' ORDER BY made_at DESC LIMIT 1)
ORDER BY ds DESC
LIMIT 50
