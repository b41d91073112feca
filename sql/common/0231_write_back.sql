-- What the write-back jobs of a schedule add: sums over a horizon, changes of level, outlooks of budgets and queues.
-- The run of a row is one of the ledger's, which knows its slot, its parameters and how it ended.

ALTER TABLE analytics.forecasts
    ADD COLUMN source text,
    ADD COLUMN by     text[];

COMMENT ON COLUMN analytics.forecasts.source IS 'llm_requests, llm_usage or rabbitmq_queues; null: a file';
COMMENT ON COLUMN analytics.forecasts.by     IS 'dimensions that unique_id is made of, in their order; null: not known';

CREATE INDEX forecasts_target  ON analytics.forecasts (target, ds);
CREATE INDEX forecasts_made_at ON analytics.forecasts (made_at);

ALTER TABLE analytics.anomalies
    ADD COLUMN engine        text,
    ADD COLUMN trained_from  timestamptz,
    ADD COLUMN trained_until timestamptz;

COMMENT ON COLUMN analytics.anomalies.engine       IS 'what scored it';
COMMENT ON COLUMN analytics.anomalies.trained_from IS 'first point of the past that it was judged by; trained_until the last one';

CREATE INDEX anomalies_ds      ON analytics.anomalies (ds);
CREATE INDEX anomalies_made_at ON analytics.anomalies (made_at);

CREATE TABLE analytics.forecast_totals (
    run_id        uuid        NOT NULL,
    made_at       timestamptz NOT NULL,
    target        text        NOT NULL,
    source        text        NOT NULL,
    by            text[]      NOT NULL,
    unique_id     text        NOT NULL,
    horizon       text        NOT NULL,
    since         timestamptz NOT NULL,
    until         timestamptz NOT NULL,
    total         float8      NOT NULL,
    lo_80         float8,
    hi_80         float8,
    lo_95         float8,
    hi_95         float8,
    engine        text        NOT NULL,
    trained_from  timestamptz NOT NULL,
    trained_until timestamptz NOT NULL,
    PRIMARY KEY (run_id, horizon, unique_id)
);

COMMENT ON TABLE  analytics.forecast_totals IS 'sums of a forecast over a horizon: their intervals are not sums of those of the steps';
COMMENT ON COLUMN analytics.forecast_totals.horizon IS 'how far ahead, as 24h or 7d: from since to until, which is not included';

CREATE INDEX forecast_totals_made_at ON analytics.forecast_totals (made_at);

CREATE TABLE analytics.change_points (
    run_id        uuid        NOT NULL,
    made_at       timestamptz NOT NULL,
    target        text        NOT NULL,
    unique_id     text        NOT NULL,
    ds            timestamptz NOT NULL,
    ds_lo         timestamptz NOT NULL,
    ds_hi         timestamptz NOT NULL,
    before        float8      NOT NULL,
    after         float8      NOT NULL,
    size          float8      NOT NULL,
    size_lo       float8,
    size_hi       float8,
    relative      float8,
    engine        text        NOT NULL,
    trained_from  timestamptz NOT NULL,
    trained_until timestamptz NOT NULL,
    PRIMARY KEY (run_id, unique_id, ds)
);

COMMENT ON TABLE  analytics.change_points IS 'lasting changes of level: each run looks at the whole of its span, so that the latest one replaces those before it';
COMMENT ON COLUMN analytics.change_points.ds IS 'the first point on the new level; ds_lo to ds_hi holds it with 95 %';
COMMENT ON COLUMN analytics.change_points.relative IS 'size / before; null where before is not positive';

CREATE INDEX change_points_made_at ON analytics.change_points (made_at);

CREATE TABLE analytics.budget_outlooks (
    run_id          uuid        NOT NULL,
    made_at         timestamptz NOT NULL,
    budget          text        NOT NULL,
    starts_at       timestamptz NOT NULL,
    resets_at       timestamptz NOT NULL,
    limit_usd       float8      NOT NULL,
    spent_usd       float8      NOT NULL,
    total_usd       float8      NOT NULL,
    lo_80           float8,
    hi_80           float8,
    lo_95           float8,
    hi_95           float8,
    p_exceed        float8,
    run_rate_usd    float8,
    exhausted_at    timestamptz,
    exhausted_lo_80 timestamptz,
    exhausted_hi_80 timestamptz,
    driver          text,
    engine          text        NOT NULL,
    trained_from    timestamptz NOT NULL,
    trained_until   timestamptz NOT NULL,
    PRIMARY KEY (run_id, budget)
);

COMMENT ON TABLE  analytics.budget_outlooks IS 'how budgets will probably stand when their period ends; spend is what the rollups of requests say';
COMMENT ON COLUMN analytics.budget_outlooks.total_usd IS 'spend of the whole period, the median; lo and hi bound it';
COMMENT ON COLUMN analytics.budget_outlooks.p_exceed IS 'probability that the limit is exceeded; null: the past is too short to tell';
COMMENT ON COLUMN analytics.budget_outlooks.exhausted_at IS 'when the limit is passed, the median; null: not in this period';
COMMENT ON COLUMN analytics.budget_outlooks.driver IS 'the series that moves the outcome most';

CREATE INDEX budget_outlooks_made_at ON analytics.budget_outlooks (made_at);

CREATE TABLE analytics.queue_outlooks (
    run_id           uuid        NOT NULL,
    made_at          timestamptz NOT NULL,
    cluster          text        NOT NULL,
    vhost            text        NOT NULL,
    queue            text        NOT NULL,
    horizon_s        float8      NOT NULL,
    messages         float8      NOT NULL,
    consumers        float8,
    arriving_per_s   float8,
    served_per_s     float8,
    capacity_per_s   float8,
    capacity_seen    boolean     NOT NULL,
    utilisation      float8,
    age_s            float8,
    drain_s          float8,
    max_length       float8,
    full_s           float8,
    p_full           float8,
    peak_messages    float8,
    consumers_needed bigint,
    engine           text        NOT NULL,
    trained_from     timestamptz NOT NULL,
    trained_until    timestamptz NOT NULL,
    PRIMARY KEY (run_id, cluster, vhost, queue)
);

COMMENT ON TABLE  analytics.queue_outlooks IS 'arrivals against capacity of each queue, as analytics.queues.capacity tells it';
COMMENT ON COLUMN analytics.queue_outlooks.capacity_seen IS 'false: the queue was never busy, and capacity_per_s is a lower bound';
COMMENT ON COLUMN analytics.queue_outlooks.drain_s IS 'seconds after trained_until until it is empty at these rates; null: never';
COMMENT ON COLUMN analytics.queue_outlooks.full_s IS 'seconds after trained_until until it holds max_length at these rates; null: never, or no limit';
COMMENT ON COLUMN analytics.queue_outlooks.p_full IS 'probability that it is full within horizon_s';

CREATE INDEX queue_outlooks_made_at ON analytics.queue_outlooks (made_at);

-- None of them has a team in it: they are for those who see all teams.
ALTER TABLE analytics.forecast_totals ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.change_points   ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.budget_outlooks ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.queue_outlooks  ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON analytics.forecast_totals FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY all_teams ON analytics.change_points   FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY all_teams ON analytics.budget_outlooks FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY all_teams ON analytics.queue_outlooks  FOR SELECT USING ((SELECT metrics.sees_all()));
REVOKE ALL ON analytics.forecast_totals, analytics.change_points, analytics.budget_outlooks, analytics.queue_outlooks FROM PUBLIC;

-- The gauges ask for the latest good run of each job.
CREATE INDEX report_run_latest ON analytics.report_run (job, slot DESC) WHERE outcome = 'ok';
