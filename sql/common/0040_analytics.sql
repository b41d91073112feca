-- What the analyses write back, so that Grafana, alerts and the next report can use it.
CREATE TABLE analytics.forecasts (
    run_id    uuid        NOT NULL,
    made_at   timestamptz NOT NULL,
    target    text        NOT NULL,
    unique_id text        NOT NULL,
    ds        timestamptz NOT NULL,
    y_hat     float8      NOT NULL,
    lo_80     float8,
    hi_80     float8,
    lo_95     float8,
    hi_95     float8,
    engine    text        NOT NULL,
    trained_from  timestamptz NOT NULL,
    trained_until timestamptz NOT NULL,
    PRIMARY KEY (run_id, unique_id, ds)
);

COMMENT ON TABLE  analytics.forecasts IS 'one row per forecast step; a run is one call of forecast()';
COMMENT ON COLUMN analytics.forecasts.target IS 'what was forecast, with its unit: hourly cost_usd, hourly messages, ...';

CREATE TABLE analytics.anomalies (
    run_id    uuid        NOT NULL,
    made_at   timestamptz NOT NULL,
    target    text        NOT NULL,
    unique_id text        NOT NULL,
    ds        timestamptz NOT NULL,
    until     timestamptz NOT NULL,
    y         float8      NOT NULL,
    expected  float8      NOT NULL,
    score     float8      NOT NULL,
    PRIMARY KEY (run_id, unique_id, ds)
);

COMMENT ON TABLE  analytics.anomalies IS 'one row per finding';
COMMENT ON COLUMN analytics.anomalies.score IS '-log10 of the tail probability at the worst point';

CREATE TABLE analytics.report_run (
    run_id      uuid        PRIMARY KEY,
    report      text        NOT NULL,
    slot        timestamptz NOT NULL,
    parameters  jsonb       NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome     text        NOT NULL DEFAULT 'running' CHECK (outcome IN ('running', 'ok', 'failed')),
    error       text,
    output      text
);

COMMENT ON TABLE  analytics.report_run IS 'the ledger of report runs';
COMMENT ON COLUMN analytics.report_run.slot IS 'the moment that the run stands for; for a run by hand, its start';

CREATE INDEX ON analytics.report_run (report, slot DESC);
