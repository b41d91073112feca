-- Single LLM requests with all that is known of each: one row per request, in no order.
--   :since, :until  timestamptz  when it was sent (half-open)
SELECT
    ts, request_id, provider, model, response_model, operation, team, project, environment, source, status, error_type,
    http_status, streamed, ttfc_s, ttft_s, duration_s, output_tokens_per_s, input_tokens, cached_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens, usage_source, cost_usd::float8 AS cost_usd, price_version, attrs
FROM metrics.llm_requests_visible
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz;
