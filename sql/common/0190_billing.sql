-- What providers bill, as their cost reports say: one row per bucket, line item and report. Usage reports, which have tokens and no
-- money, are in metrics.llm_usage: the two are never added up. A bill may be revised, so a later report of a bucket takes the place
-- of the earlier ones, which stay for the record.
CREATE TABLE metrics.llm_billed (
    ts          timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    width_s     integer     NOT NULL CHECK (width_s > 0),
    source      text        NOT NULL,
    account     text        NOT NULL DEFAULT 'default',
    reported_at timestamptz NOT NULL CHECK (reported_at >= '2000-01-01Z' AND reported_at < '2200-01-01Z'),
    provider    text        NOT NULL,
    line_item   text        NOT NULL,
    model       text        NOT NULL DEFAULT '',
    project     text        NOT NULL DEFAULT 'unassigned',
    cost_usd    numeric     NOT NULL CHECK (cost_usd > '-infinity' AND cost_usd < 'infinity'),
    quantity    numeric,
    attrs       jsonb,
    PRIMARY KEY (ts, width_s, source, account, line_item, model, project, reported_at)
);

COMMENT ON TABLE  metrics.llm_billed IS 'what providers bill, by line item; read llm_billed_latest';
COMMENT ON COLUMN metrics.llm_billed.ts IS 'start of the bucket, in UTC as the provider bills it';
COMMENT ON COLUMN metrics.llm_billed.account IS 'which of several organisations with one provider';
COMMENT ON COLUMN metrics.llm_billed.reported_at IS 'when the provider said so';
COMMENT ON COLUMN metrics.llm_billed.model IS 'the model of the line item; empty where it belongs to none';
COMMENT ON COLUMN metrics.llm_billed.cost_usd IS 'as billed; negative for a credit';

-- What the newest report of each bucket says.
CREATE VIEW metrics.llm_billed_latest WITH (security_invoker = true) AS
SELECT ts, width_s, source, account, reported_at, provider, line_item, model, project, cost_usd, quantity, attrs
FROM (
    SELECT *, rank() OVER (PARTITION BY ts, width_s, source, account ORDER BY reported_at DESC) AS age
    FROM metrics.llm_billed
) AS reports
WHERE age = 1;

-- A bill has no team in it: it is for those who see all teams.
ALTER TABLE metrics.llm_billed ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON metrics.llm_billed FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY any_writer ON metrics.llm_billed FOR INSERT WITH CHECK (true);
