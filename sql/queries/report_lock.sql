-- Take the lock of a job for this session, if nobody has it; whether that worked.
--   :job  text
SELECT pg_try_advisory_lock(hashtextextended('gaugebook.report.' || :job, 0));
