-- What LLM calls may cost: budgets, and the ledger of what was reserved and spent. Periods are calendar days and months in UTC.
CREATE TABLE analytics.budgets (
    budget_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    team        text        CHECK (team <> '*'),
    project     text        CHECK (project <> '*'),
    model       text        CHECK (model <> '*'),
    key         text        CHECK (key ~ '^[0-9a-f]{8}$'),
    period      text        NOT NULL CHECK (period IN ('day', 'month')),
    limit_usd   numeric     NOT NULL CHECK (limit_usd >= 0 AND limit_usd < 'infinity'),
    soft_limits numeric[]   NOT NULL DEFAULT '{}' CHECK (0 < ALL (soft_limits) AND 1 >= ALL (soft_limits)),
    webhook_url text        CHECK (webhook_url ~ '^https?://' AND length(webhook_url) <= 2000),
    enabled     boolean     NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text        NOT NULL DEFAULT session_user,
    removed_at  timestamptz
);

COMMENT ON TABLE  analytics.budgets IS 'what calls may cost in a period; one that is removed stays for its history';
COMMENT ON COLUMN analytics.budgets.team IS 'null: calls of every team';
COMMENT ON COLUMN analytics.budgets.project IS 'null: calls of every project';
COMMENT ON COLUMN analytics.budgets.model IS 'null: every model; a star in it stands for any text, as in gpt-5*';
COMMENT ON COLUMN analytics.budgets.key IS 'the first eight hex digits of the SHA-256 of an API key; null: every key';
COMMENT ON COLUMN analytics.budgets.limit_usd IS 'what is settled and reserved in a period stays within it';
COMMENT ON COLUMN analytics.budgets.soft_limits IS 'fractions of the limit; when what is settled reaches one, it is announced once in the period';
COMMENT ON COLUMN analytics.budgets.webhook_url IS 'where that is posted to';

CREATE UNIQUE INDEX budgets_name ON analytics.budgets (name) WHERE removed_at IS NULL;
CREATE INDEX budgets_team ON analytics.budgets (team) WHERE removed_at IS NULL;

-- One row per budget and period that has had a call. It is the one that all calls of the budget meet at: short, and with
-- room in its page for the next version.
CREATE TABLE analytics.budget_periods (
    budget_id    bigint      NOT NULL REFERENCES analytics.budgets,
    starts_at    timestamptz NOT NULL,
    ends_at      timestamptz NOT NULL,
    limit_usd    numeric     NOT NULL,
    settled_usd  numeric     NOT NULL DEFAULT 0 CHECK (settled_usd >= 0),
    reserved_usd numeric     NOT NULL DEFAULT 0 CHECK (reserved_usd >= 0),
    expired_usd  numeric     NOT NULL DEFAULT 0 CHECK (expired_usd >= 0),
    overrun_usd  numeric     NOT NULL DEFAULT 0 CHECK (overrun_usd >= 0),
    calls        bigint      NOT NULL DEFAULT 0,
    announced    numeric     NOT NULL DEFAULT 0,
    refused_at   timestamptz,
    PRIMARY KEY (budget_id, starts_at)
) WITH (fillfactor = 50);

COMMENT ON TABLE  analytics.budget_periods IS 'the ledger: what each budget has spent in each period';
COMMENT ON COLUMN analytics.budget_periods.limit_usd IS 'the limit when the period was last booked on';
COMMENT ON COLUMN analytics.budget_periods.settled_usd IS 'what calls have cost, and the worst case of those that never said';
COMMENT ON COLUMN analytics.budget_periods.reserved_usd IS 'the worst case of calls that are under way';
COMMENT ON COLUMN analytics.budget_periods.expired_usd IS 'the part of settled_usd that is a worst case: of calls whose process died or hung';
COMMENT ON COLUMN analytics.budget_periods.overrun_usd IS 'the part of settled_usd by which calls cost more than their worst case';
COMMENT ON COLUMN analytics.budget_periods.calls IS 'calls that are settled or expired';
COMMENT ON COLUMN analytics.budget_periods.announced IS 'the highest soft limit that has been announced';
COMMENT ON COLUMN analytics.budget_periods.refused_at IS 'when the first call was refused';

-- A call that is under way. It goes when the call is settled or, at the latest, when it expires.
CREATE TABLE analytics.budget_leases (
    lease_id   uuid          PRIMARY KEY,
    budget_ids bigint[]      NOT NULL,
    starts_at  timestamptz[] NOT NULL,
    amount_usd numeric       NOT NULL CHECK (amount_usd >= 0),
    made_at    timestamptz   NOT NULL DEFAULT now(),
    expires_at timestamptz   NOT NULL
);

COMMENT ON TABLE  analytics.budget_leases IS 'reservations of calls that are under way';
COMMENT ON COLUMN analytics.budget_leases.budget_ids IS 'the budgets that it is booked on, in the order in which they are locked';
COMMENT ON COLUMN analytics.budget_leases.starts_at IS 'their periods';

CREATE INDEX budget_leases_expiry ON analytics.budget_leases (expires_at);

-- Leases that expired and were booked at their worst case: kept for a day, so that a call that ends after all is booked as it was.
CREATE TABLE analytics.budget_expired (LIKE analytics.budget_leases);
ALTER TABLE analytics.budget_expired ADD PRIMARY KEY (lease_id);
CREATE INDEX budget_expired_expiry ON analytics.budget_expired (expires_at);

COMMENT ON TABLE analytics.budget_expired IS 'leases that were booked at their worst case because nobody settled them in time';

-- Readers see the budgets of the teams that they have been granted; one that is for all teams is for those who see all.
ALTER TABLE analytics.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.budget_periods ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_teams ON analytics.budgets FOR SELECT
USING ((SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]));
CREATE POLICY own_teams ON analytics.budget_periods FOR SELECT
USING (budget_id IN (SELECT budget_id FROM analytics.budgets));

-- The calendar day or month, in UTC, that a moment is in.
CREATE FUNCTION analytics.budget_span(period text, moment timestamptz, OUT starts_at timestamptz, OUT ends_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT starts AT TIME ZONE 'UTC', (starts + CASE period WHEN 'day' THEN interval '1 day' ELSE interval '1 month' END) AT TIME ZONE 'UTC'
    FROM date_trunc(period, moment AT TIME ZONE 'UTC') AS starts
$$;

-- Every budget as it stands now.
CREATE VIEW analytics.budget_status WITH (security_invoker = true) AS
SELECT
    budgets.budget_id, budgets.name, budgets.team, budgets.project, budgets.model, budgets.key, budgets.period,
    budgets.limit_usd, budgets.soft_limits, budgets.enabled,
    coalesce(booked.settled_usd, 0)                                                        AS spent_usd,
    coalesce(booked.reserved_usd, 0)                                                       AS reserved_usd,
    greatest(0, budgets.limit_usd - coalesce(booked.settled_usd + booked.reserved_usd, 0)) AS left_usd,
    coalesce(booked.expired_usd, 0)                                                        AS expired_usd,
    coalesce(booked.overrun_usd, 0)                                                        AS overrun_usd,
    coalesce(booked.calls, 0)                                                              AS calls,
    booked.refused_at,
    span.starts_at,
    span.ends_at                                                                           AS resets_at
FROM analytics.budgets
CROSS JOIN LATERAL analytics.budget_span(budgets.period, now()) AS span
LEFT JOIN analytics.budget_periods AS booked ON booked.budget_id = budgets.budget_id AND booked.starts_at = span.starts_at
WHERE budgets.removed_at IS NULL;

COMMENT ON VIEW analytics.budget_status IS 'every budget as it stands in its current period';

REVOKE ALL ON FUNCTION analytics.budget_span FROM PUBLIC;
