-- TRUNCATE is noticed as DELETE is: every stored hour that still has raw rows behind it is to be worked out again.
CREATE FUNCTION metrics.log_truncated_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO metrics.rollup_log (family, bucket)
                    SELECT DISTINCT $1, bucket FROM metrics.%I WHERE bucket >= (SELECT raw_until FROM metrics.policies)',
                   TG_ARGV[0] || '_hourly_stored') USING TG_ARGV[0];
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION metrics.log_truncated_hours() FROM PUBLIC;

CREATE TRIGGER log_truncate AFTER TRUNCATE ON metrics.llm_requests
FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_truncated_hours('llm_requests');
CREATE TRIGGER log_truncate AFTER TRUNCATE ON metrics.llm_usage
FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_truncated_hours('llm_usage');
CREATE TRIGGER log_truncate AFTER TRUNCATE ON metrics.rabbitmq_queues
FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_truncated_hours('rabbitmq_queues');
