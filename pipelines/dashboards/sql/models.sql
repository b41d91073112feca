-- Models that had requests in the time that is shown.
SELECT DISTINCT model FROM metrics.llm_requests_daily WHERE $__timeFilter(bucket) ORDER BY model
