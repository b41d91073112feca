-- Models with requests that ended well, told their usage, and have no price: one row each, the one with most requests first.
-- `mixed`: other requests of these days have a price, and the tokens are of both.
--   :since, :until  timestamptz  days from, to (half-open)
WITH days AS (
    SELECT bucket, provider, model, greatest(unpriced - unmetered, 0) AS without, priced > 0 AS mixed,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens
    FROM metrics.llm_requests_daily
    UNION ALL
    SELECT bucket, provider, model, CASE WHEN cost_usd IS NULL THEN requests ELSE 0 END, false,
           input_tokens, cached_tokens, cache_write_tokens, output_tokens
    FROM metrics.llm_usage_daily
    WHERE input_tokens + output_tokens > 0
)
SELECT
    provider, model,
    sum(without)::bigint                         AS requests,
    coalesce(sum(input_tokens), 0)::bigint       AS input_tokens,
    coalesce(sum(cached_tokens), 0)::bigint      AS cached_tokens,
    coalesce(sum(cache_write_tokens), 0)::bigint AS cache_write_tokens,
    coalesce(sum(output_tokens), 0)::bigint      AS output_tokens,
    bool_or(mixed)                               AS mixed,
    min(bucket)                                  AS first,
    max(bucket)                                  AS last
FROM days
WHERE without > 0
  AND bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
GROUP BY provider, model
ORDER BY requests DESC, provider, model;
