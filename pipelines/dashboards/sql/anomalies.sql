-- Findings in LLM traffic and spend, or in what is not: where they begin and end, what was found. Muted ones are left out.
SELECT
    found.ds    AS "time",
    found.until AS timeend,
    found.unique_id || ': ' || round(found.y::numeric, 2) || ' where ' || round(found.expected::numeric, 2) || ' was expected' AS text,
    coalesce(found.severity, 'notice') || ',' || found.target AS tags
FROM analytics.anomalies AS found
WHERE $__timeFilter(found.ds)
  AND found.target {matches} '(cost|tokens|requests|ttft|duration|latency)'
  AND NOT EXISTS (
      SELECT FROM analytics.anomaly_verdicts AS said
      WHERE said.target = found.target AND said.removed_at IS NULL AND coalesce(said.unique_id, found.unique_id) = found.unique_id
        AND said.verdict IN ('mute', 'false') AND found.ds < said.until AND found.until > said.since
  )
ORDER BY found.ds DESC
LIMIT 200
