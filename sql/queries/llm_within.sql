-- How many requests began to answer within a bound, from histograms: one row per hour and combination.
-- `measured`: those that told their time to first token; `within`: how many of them took `bound_s` at most, to within 3 per cent of it.
--   :bound_s        float8        seconds to the first token
--   :by             text[]        dimensions to keep, of provider, model, team, project; the others are null
--   :team           text          null: every team
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH bound AS (
    -- Buckets are counted from 1 ms in steps of 14/240 of the logarithm: how many of them lie below the bound, and the part of the next.
    SELECT ln(least(greatest(1000 * :bound_s::float8, 1), 1e6)) * 240 / 14 AS steps
),
rollup AS (
    SELECT bucket, provider, model, team, project, requests, errors, ttft_count AS measured,
           (SELECT sum(n) FROM unnest(ttft_hist[1 : floor(steps)::int + 1]) AS n) AS below,
           (steps - floor(steps)) * ttft_hist[floor(steps)::int + 2]           AS part
    FROM metrics.llm_requests_hourly, bound
    WHERE bucket >= :since::timestamptz
      AND bucket <  :until::timestamptz
      AND (:team::text IS NULL OR team = :team)
)
SELECT
    bucket                                                     AS ds,
    CASE WHEN 'provider' = ANY (:by::text[]) THEN provider END AS provider,
    CASE WHEN 'model'    = ANY (:by::text[]) THEN model    END AS model,
    CASE WHEN 'team'     = ANY (:by::text[]) THEN team     END AS team,
    CASE WHEN 'project'  = ANY (:by::text[]) THEN project  END AS project,
    sum(requests)::bigint                                      AS requests,
    sum(errors)::bigint                                        AS errors,
    sum(measured)::bigint                                      AS measured,
    sum(coalesce(below, 0) + coalesce(part, 0))::float8        AS within
FROM rollup
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;
