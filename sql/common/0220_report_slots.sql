-- What a schedule needs of the ledger of reports: a slot is made once, whoever ticks, and every attempt at it stays.

ALTER TABLE analytics.report_run
    ADD COLUMN job          text,
    ADD COLUMN attempt      integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    ADD COLUMN retry_at     timestamptz,
    ADD COLUMN duration_s   float8,
    ADD COLUMN peak_mb      float8,
    ADD COLUMN host         text,
    ADD COLUMN code_version text,
    ADD COLUMN data_spans   jsonb,
    ADD COLUMN deliveries   jsonb   NOT NULL DEFAULT '[]',
    DROP CONSTRAINT report_run_outcome_check,
    ADD CONSTRAINT report_run_outcome_check
        CHECK (outcome IN ('running', 'ok', 'failed', 'interrupted', 'skipped', 'replaced'));

COMMENT ON COLUMN analytics.report_run.job IS 'the entry of the schedule, one for each set of parameters; null: run by hand';
COMMENT ON COLUMN analytics.report_run.attempt IS 'the how manieth at this slot, from 1';
COMMENT ON COLUMN analytics.report_run.retry_at IS 'from when on the slot is to be tried once more; null: it is not, or has been';
COMMENT ON COLUMN analytics.report_run.outcome IS
    'interrupted: its process died; skipped: a later slot was made in its place; replaced: was ok, until its slot was made again';
COMMENT ON COLUMN analytics.report_run.duration_s IS 'seconds by a clock that nobody sets';
COMMENT ON COLUMN analytics.report_run.peak_mb IS 'the most memory that the notebook''s kernel had resident, in megabytes of 10^6 bytes';
COMMENT ON COLUMN analytics.report_run.code_version IS 'release of Gaugebook, and the start of the SHA-256 of the notebook';
COMMENT ON COLUMN analytics.report_run.data_spans IS 'first and last hour that the store held of each source when the run began';
COMMENT ON COLUMN analytics.report_run.deliveries IS 'where the page goes besides its folder, and how that went';

-- These hold even where the lock of a job does not, behind a pooler that hands one session to many, for example.
CREATE UNIQUE INDEX report_run_attempts ON analytics.report_run (job, slot, attempt);
CREATE UNIQUE INDEX report_run_good     ON analytics.report_run (job, slot) WHERE outcome = 'ok';
CREATE UNIQUE INDEX report_run_running  ON analytics.report_run (job)       WHERE outcome = 'running';
CREATE INDEX        report_run_retries  ON analytics.report_run (job, slot) WHERE retry_at IS NOT NULL;
CREATE INDEX        report_run_waiting  ON analytics.report_run (job)       WHERE deliveries @> '[{"outcome": "waiting"}]';
CREATE INDEX        report_run_pages    ON analytics.report_run (output, slot DESC);

CREATE TABLE analytics.report_job (
    job   text        NOT NULL,
    cron  text        NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (job, cron)
);

COMMENT ON TABLE  analytics.report_job IS 'the jobs that a tick has seen in a schedule';
COMMENT ON COLUMN analytics.report_job.since IS 'when a tick first saw the job with this cron expression; slots before it are not missed';

ALTER TABLE analytics.report_job ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON analytics.report_job FOR SELECT USING ((SELECT metrics.sees_all()));
