-- LLM requests that look like a company's: six workloads with ids, token counts, latencies, prices and attributes of the
-- kind that the tap writes; more by day than by night, spread evenly over the days. Errors carry neither usage nor cost.
--   :requests  bigint       how many
--   :since     timestamptz  their first moment
--   :days      float8       over how many days they are spread
INSERT INTO metrics.llm_requests (
    ts, request_id, provider, model, response_model, team, project, environment, source, status, error_type, http_status,
    streamed, ttfc_s, ttft_s, duration_s, output_tokens_per_s, input_tokens, cached_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, usage_source, cost_usd, price_version, attrs)
WITH workload (nr, upto, team, project, provider, model, dated, asked, produced, cached, ttft, speed, dollars_in, dollars_out) AS (
    VALUES
        (1, 0.40, 'support', 'chat-assistant', 'openai', 'gpt-4o-mini', 'gpt-4o-mini-2024-07-18', 1800, 260, 0.45, 0.35, 95, 0.15, 0.60),
        (2, 0.56, 'support', 'ticket-triage', 'openai', 'gpt-4.1-nano', 'gpt-4.1-nano-2025-04-14', 900, 40, 0.30, 0.28, 130, 0.10, 0.40),
        (3, 0.69, 'search', 'answers', 'openai', 'gpt-4o', 'gpt-4o-2024-08-06', 3200, 320, 0.35, 0.48, 70, 2.50, 10.0),
        (4, 0.83, 'search', 'query-rewriting', 'openai', 'gpt-4.1-mini', 'gpt-4.1-mini-2025-04-14', 420, 60, 0.10, 0.30, 110, 0.40, 1.60),
        (5, 0.92, 'engineering', 'code-review', 'anthropic', 'claude-sonnet-4-0', 'claude-sonnet-4-20250514', 7800, 900, 0.55, 0.85, 62, 3.00, 15.0),
        (6, 1.00, 'research', 'document-analysis', 'anthropic', 'claude-3-5-haiku-latest', 'claude-3-5-haiku-20241022', 5200, 480, 0.05, 0.60, 75, 0.80, 4.00)
),
drawn AS (
    SELECT
        n,
        width_bucket(random(), ARRAY[0.40, 0.56, 0.69, 0.83, 0.92]::float8[]) + 1 AS nr,
        random() AS fate,
        -- The hour of the day bends towards noon; within it, any second.
        :since::timestamptz + (floor(n * :days::float8 / :requests::bigint)
            + ((random() + random() + random()) / 3 * 0.7 + random() * 0.3)) * interval '1 day' AS ts,
        exp(random_normal(0, 0.5))  AS a,
        exp(random_normal(0, 0.6))  AS p,
        exp(random_normal(0, 0.35)) AS t,
        exp(random_normal(0, 0.2))  AS s
    FROM generate_series(0, :requests::bigint - 1) AS n
),
measured AS (
    SELECT
        drawn.*, workload.*, fate >= 0.006 AS answered,
        greatest(1, asked * a)::bigint                               AS input_tokens,
        (greatest(1, asked * a) * least(0.95, cached * s))::bigint   AS cached_tokens,
        greatest(1, produced * p)::bigint                            AS output_tokens
    FROM drawn JOIN workload USING (nr)
)
SELECT
    ts,
    CASE provider WHEN 'openai' THEN 'chatcmpl-C' ELSE 'msg_01' END || substr(translate(encode(sha256(n::text::bytea), 'base64'), '+/=', 'xyz'), 1, 28),
    provider, model, CASE WHEN answered THEN dated END, team, project, 'production', 'tap',
    CASE WHEN NOT answered THEN 'error' WHEN fate < 0.01 THEN 'cancelled' ELSE 'ok' END,
    CASE WHEN NOT answered THEN 'rate_limit_exceeded' END,
    CASE WHEN answered THEN 200 ELSE 429 END,
    true,
    CASE WHEN answered THEN ttft * t * 0.6 END,
    CASE WHEN answered THEN ttft * t END,
    CASE WHEN answered THEN ttft * t + output_tokens / (speed * s) ELSE t / 3 END,
    CASE WHEN answered THEN speed * s END,
    CASE WHEN answered THEN input_tokens END,
    CASE WHEN answered THEN cached_tokens END,
    CASE WHEN answered THEN 0 END,
    CASE WHEN answered THEN output_tokens END,
    CASE WHEN answered THEN 0 END,
    CASE WHEN answered THEN 'reported' ELSE 'missing' END,
    CASE WHEN answered THEN
        ((input_tokens - cached_tokens * 0.5) * dollars_in::numeric + output_tokens * dollars_out::numeric) * 0.000001 END,
    CASE WHEN answered THEN 'genai-prices 0.2.3' END,
    CASE WHEN answered THEN 
        CASE provider
            WHEN 'openai' THEN jsonb_build_object('host', 'api.openai.com', 'finish_reason', 'stop', 'service_tier', 'default')
            ELSE jsonb_build_object('host', 'api.anthropic.com', 'finish_reason', 'end_turn', 'service_tier', 'standard')
        END
    END
FROM measured
ORDER BY ts;
