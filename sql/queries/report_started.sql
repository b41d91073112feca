-- Note in the ledger that a report run has begun; the time that it began is the answer.
--   :run_id        uuid
--   :report        text         name of the notebook
--   :slot          timestamptz  the moment that the run stands for
--   :parameters    jsonb        every parameter with the value it runs with
--   :started_at    timestamptz
--   :output        text         path of the page that the run is to replace
--   :job           text         entry of the schedule, or null: run by hand
--   :attempt       int          from 1
--   :host          text         the computer that runs it
--   :code_version  text         release and notebook
INSERT INTO analytics.report_run
    (run_id, report, slot, parameters, started_at, output, job, attempt, host, code_version)
VALUES
    (:run_id, :report, :slot, :parameters, :started_at, :output, :job, :attempt, :host, :code_version);
