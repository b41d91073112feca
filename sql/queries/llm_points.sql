-- Single LLM requests, the little of each that a plot or a distribution needs: one row per request, in no order.
--   :since, :until  timestamptz  when it was sent (half-open)
SELECT ts, model, duration_s, output_tokens, cost_usd::float8 AS cost_usd
FROM metrics.llm_requests_visible
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz;
