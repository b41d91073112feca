-- What was metered and what a provider reports, per day (UTC) and model: rows of three sides, which share their columns.
--   metered   the requests; of days whose raw rows are gone, the rollups, which know the model asked for alone
--   usage     the provider's usage report: tokens, no money
--   billed    the provider's cost report: money, no tokens; `item` names what belongs to no model
--   :provider       text          openai or anthropic
--   :since, :until  timestamptz   whole days from, to (half-open)
WITH raw AS (
    SELECT greatest(:since::timestamptz, coalesce(metrics.raw_since(), '-infinity')) AS since
),
metered AS (
    SELECT date_trunc('day', ts, 'UTC') AS day, coalesce(response_model, model) AS model, count(*) AS requests,
           sum(input_tokens) AS input_tokens, sum(cached_tokens) AS cached_tokens, sum(cache_write_tokens) AS cache_write_tokens,
           sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd,
           count(*) FILTER (WHERE cost_usd IS NULL AND input_tokens + output_tokens > 0) AS unpriced,
           count(*) FILTER (WHERE status <> 'error' AND usage_source <> 'reported') AS unmetered,
           sum(input_tokens + output_tokens) FILTER (
               WHERE attrs ->> 'service_tier' IN ('batch', 'flex') OR attrs ->> 'batch' = 'true') AS discounted_tokens
    FROM metrics.llm_requests_visible, raw
    WHERE provider = :provider AND ts >= raw.since AND ts < :until::timestamptz
      AND coalesce(attrs ->> 'cache_hit', '') <> 'true' -- a gateway's own answer, which nobody bills
    GROUP BY 1, 2
    UNION ALL
    SELECT bucket, model, sum(requests), sum(input_tokens), sum(cached_tokens), sum(cache_write_tokens),
           sum(output_tokens), sum(cost_usd), sum(unpriced), sum(unmetered), NULL
    FROM metrics.llm_requests_daily, raw
    WHERE provider = :provider AND bucket >= :since::timestamptz AND bucket < least(raw.since, :until::timestamptz)
    GROUP BY 1, 2
),
-- Where a day was imported in buckets of two widths, the wider ones count.
usage AS (
    SELECT *, rank() OVER (PARTITION BY source, date_trunc('day', ts, 'UTC') ORDER BY width_s DESC) AS nr
    FROM metrics.llm_usage_visible
    WHERE provider = :provider AND source LIKE :provider::text || '-usage%' AND ts >= :since::timestamptz AND ts < :until::timestamptz
)
SELECT 'metered' AS side, day, model, '' AS item, requests::bigint, input_tokens::bigint, cached_tokens::bigint,
       cache_write_tokens::bigint, output_tokens::bigint, cost_usd, unpriced::bigint, unmetered::bigint,
       discounted_tokens::bigint, NULL::numeric AS discounted_usd, true AS final
FROM metered
UNION ALL
SELECT 'usage', date_trunc('day', ts, 'UTC'), model, '', nullif(sum(requests), 0)::bigint, sum(input_tokens)::bigint,
       sum(cached_tokens)::bigint, sum(cache_write_tokens)::bigint, sum(output_tokens)::bigint, NULL, 0, 0,
       sum((attrs ->> 'discounted_tokens')::bigint)::bigint, NULL, true
FROM usage
WHERE nr = 1
GROUP BY 2, 3
UNION ALL
SELECT 'billed', date_trunc('day', ts, 'UTC'), model, CASE WHEN model = '' THEN line_item ELSE '' END, NULL, NULL, NULL,
       NULL, NULL, sum(cost_usd), 0, 0,
       NULL, sum(cost_usd) FILTER (WHERE attrs ->> 'tier' IN ('batch', 'flex')), bool_and(reported_at >= ts + width_s * interval '1 second')
FROM metrics.llm_billed_latest
WHERE provider = :provider AND ts >= :since::timestamptz AND ts < :until::timestamptz
GROUP BY 2, 3, 4
ORDER BY day, model, item, side;
