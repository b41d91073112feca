-- Note that a slot is being tried again, so that it does not wait for that any more.
--   :job   text
--   :slot  timestamptz
UPDATE analytics.report_run SET retry_at = NULL
WHERE job = :job AND slot = :slot AND retry_at IS NOT NULL;
