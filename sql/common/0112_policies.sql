-- What is kept for how long, and how often the rollups are refreshed: one row, written from the settings by metrics.set_policies().
CREATE TABLE metrics.policies (
    only_row       boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    keep_raw       interval,
    keep_hourly    interval    CHECK (keep_hourly > keep_raw),
    compress_after interval    NOT NULL DEFAULT '14 days',
    refresh_every  interval    NOT NULL DEFAULT '60 seconds',
    raw_until      timestamptz NOT NULL DEFAULT '-infinity',
    last_refresh   timestamptz,
    CHECK (keep_hourly IS NULL OR keep_raw IS NOT NULL)
);

COMMENT ON TABLE  metrics.policies IS 'what is kept for how long; null: for ever';
COMMENT ON COLUMN metrics.policies.raw_until IS 'raw rows before this moment may have been dropped under an earlier policy';

INSERT INTO metrics.policies DEFAULT VALUES;

-- Raw rows of the months before this moment are no longer kept: one that arrives now would stand alone in an hour that is rolled up
-- and gone.
CREATE FUNCTION metrics.raw_since() RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT greatest(raw_until, date_trunc('month', now() - keep_raw, 'UTC')) FROM metrics.policies
$$;
