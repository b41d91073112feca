-- Ask for a slot of a job to be made once more, at the next tick: that of its latest slot, unless one is named.
--   :job   text
--   :slot  timestamptz  null: the latest
--   :now   timestamptz  null: the database's clock
UPDATE analytics.report_run SET retry_at = coalesce(:now::timestamptz, clock_timestamp())
WHERE run_id = (
    SELECT run_id FROM analytics.report_run
    WHERE job = :job AND (:slot::timestamptz IS NULL OR slot = :slot)
    ORDER BY slot DESC, attempt DESC LIMIT 1
) AND outcome <> 'running'
RETURNING slot;
