-- Hours whose cost does not fit, the worst first. Muted ones are left out.
SELECT found.ds AS "when", found.unique_id AS series, found.y AS cost, found.expected, found.impact, found.severity
FROM analytics.anomalies AS found
WHERE $__timeFilter(found.ds) AND found.target ~ 'cost'
  AND NOT EXISTS (
      SELECT FROM analytics.anomaly_verdicts AS said
      WHERE said.target = found.target AND said.removed_at IS NULL AND coalesce(said.unique_id, found.unique_id) = found.unique_id
        AND said.verdict IN ('mute', 'false') AND found.ds < said.until AND found.until > said.since
  )
ORDER BY found.score DESC, found.ds DESC
LIMIT 50
