-- Usage that a provider or a gateway reports in buckets, where there are no single requests to be had.
CREATE TABLE metrics.llm_usage (
    ts                 timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    width_s            integer     NOT NULL CHECK (width_s > 0),
    provider           text        NOT NULL DEFAULT 'unknown',
    model              text        NOT NULL DEFAULT 'unknown',
    team               text        NOT NULL DEFAULT 'unassigned',
    project            text        NOT NULL DEFAULT 'unassigned',
    source             text        NOT NULL,
    requests           bigint      NOT NULL CHECK (requests >= 0),
    input_tokens       bigint      CHECK (input_tokens >= 0),
    cached_tokens      bigint      CHECK (cached_tokens >= 0),
    cache_write_tokens bigint      CHECK (cache_write_tokens >= 0),
    output_tokens      bigint      CHECK (output_tokens >= 0),
    reasoning_tokens   bigint      CHECK (reasoning_tokens >= 0),
    usage_source       text        NOT NULL DEFAULT 'reported' CHECK (usage_source IN ('reported', 'estimated', 'missing')),
    cost_usd           numeric     CHECK (cost_usd >= 0 AND cost_usd < 'infinity'),
    price_version      text,
    attrs              jsonb,
    PRIMARY KEY (ts, width_s, source, provider, model, team, project)
);

COMMENT ON TABLE  metrics.llm_usage IS 'usage reported in buckets by a provider or a gateway';
COMMENT ON COLUMN metrics.llm_usage.ts IS 'start of the bucket';
COMMENT ON COLUMN metrics.llm_usage.width_s IS 'width of the bucket in seconds; in a rollup it counts where it starts';
