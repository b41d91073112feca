-- Teams that had requests in the time that is shown.
SELECT DISTINCT team FROM metrics.llm_requests_daily WHERE $__timeFilter(bucket) ORDER BY team
