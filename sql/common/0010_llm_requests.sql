-- One row per LLM request. Times are UTC; the key makes a second write of the same request a no-op.
CREATE TABLE metrics.llm_requests (
    ts                  timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    request_id          text        NOT NULL,
    provider            text        NOT NULL DEFAULT 'unknown',
    model               text        NOT NULL DEFAULT 'unknown',
    response_model      text,
    operation           text        NOT NULL DEFAULT 'chat',
    team                text        NOT NULL DEFAULT 'unassigned',
    project             text        NOT NULL DEFAULT 'unassigned',
    environment         text        NOT NULL DEFAULT 'default',
    source              text        NOT NULL,
    status              text        NOT NULL DEFAULT 'ok' CHECK (status IN ('ok', 'error', 'cancelled')),
    error_type          text,
    http_status         smallint,
    streamed            boolean,
    ttfc_s              float8      CHECK (ttfc_s >= 0 AND ttfc_s < 'infinity'),
    ttft_s              float8      CHECK (ttft_s >= 0 AND ttft_s < 'infinity'),
    duration_s          float8      CHECK (duration_s >= 0 AND duration_s < 'infinity'),
    output_tokens_per_s float8      CHECK (output_tokens_per_s >= 0 AND output_tokens_per_s < 'infinity'),
    input_tokens        bigint      CHECK (input_tokens >= 0),
    cached_tokens       bigint      CHECK (cached_tokens >= 0),
    cache_write_tokens  bigint      CHECK (cache_write_tokens >= 0),
    output_tokens       bigint      CHECK (output_tokens >= 0),
    reasoning_tokens    bigint      CHECK (reasoning_tokens >= 0),
    usage_source        text        NOT NULL DEFAULT 'missing' CHECK (usage_source IN ('reported', 'estimated', 'missing')),
    cost_usd            numeric     CHECK (cost_usd >= 0 AND cost_usd < 'infinity'),
    price_version       text,
    attrs               jsonb,
    PRIMARY KEY (ts, request_id)
);

COMMENT ON TABLE  metrics.llm_requests IS 'one row per LLM request';
COMMENT ON COLUMN metrics.llm_requests.ts IS 'when the request was sent';
COMMENT ON COLUMN metrics.llm_requests.model IS 'the model asked for; response_model is the one that answered';
COMMENT ON COLUMN metrics.llm_requests.ttfc_s IS 'seconds to the first chunk of a stream, whatever is in it';
COMMENT ON COLUMN metrics.llm_requests.ttft_s IS 'seconds to the first real token: text, reasoning, tool call or refusal';
COMMENT ON COLUMN metrics.llm_requests.output_tokens_per_s IS '(output_tokens - 1) / (last token - first token)';
COMMENT ON COLUMN metrics.llm_requests.input_tokens IS 'prompt tokens, those read from and written to a cache included';
COMMENT ON COLUMN metrics.llm_requests.output_tokens IS 'generated tokens, reasoning included';
COMMENT ON COLUMN metrics.llm_requests.cost_usd IS 'at the price of the moment, never rewritten; null: the price is not known';
