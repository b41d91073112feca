-- The week of LLM requests by the hour, in UTC: one row per weekday (1 is Monday) and hour, over all weeks of the span.
--   :quantiles      float8[]      of time to first token, between 0 and 1
--   :team           text          null: every team
--   :model          text          null: every model
--   :since, :until  timestamptz   buckets from, to (half-open)
SELECT
    extract(isodow FROM bucket AT TIME ZONE 'UTC')::int                       AS weekday,
    extract(hour FROM bucket AT TIME ZONE 'UTC')::int                         AS hour,
    count(DISTINCT bucket)                                                    AS hours,
    sum(requests)::bigint                                                     AS requests,
    sum(errors)::bigint                                                       AS errors,
    coalesce(sum(output_tokens), 0)::bigint                                   AS output_tokens,
    metrics.percentiles(metrics.hist_merge(ttft_hist), :quantiles::float8[])  AS ttft
FROM metrics.llm_requests_hourly
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
  AND (:team::text IS NULL OR team = :team)
  AND (:model::text IS NULL OR model = :model)
GROUP BY 1, 2
ORDER BY 1, 2;
