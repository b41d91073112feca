-- What panels read: a span of time in, the newest 10,000 rows of it out. The roles of the caller decide whose rows.
CREATE SCHEMA grafana;

COMMENT ON SCHEMA grafana IS 'functions for panels, none of which returns more than 10,000 rows';

CREATE FUNCTION grafana.llm_hourly(since timestamptz, until timestamptz) RETURNS SETOF metrics.llm_metrics_hourly
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.llm_metrics_hourly WHERE bucket >= since AND bucket < until ORDER BY bucket DESC LIMIT 10000
$$;

CREATE FUNCTION grafana.llm_daily(since timestamptz, until timestamptz) RETURNS SETOF metrics.llm_metrics_daily
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.llm_metrics_daily WHERE bucket >= since AND bucket < until ORDER BY bucket DESC LIMIT 10000
$$;

CREATE FUNCTION grafana.llm_requests(since timestamptz, until timestamptz) RETURNS SETOF metrics.llm_requests_visible
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.llm_requests_visible WHERE ts >= since AND ts < until ORDER BY ts DESC LIMIT 10000
$$;

CREATE FUNCTION grafana.queues_hourly(since timestamptz, until timestamptz) RETURNS SETOF metrics.rabbitmq_metrics_hourly
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.rabbitmq_metrics_hourly WHERE bucket >= since AND bucket < until ORDER BY bucket DESC LIMIT 10000
$$;

CREATE FUNCTION grafana.queues_daily(since timestamptz, until timestamptz) RETURNS SETOF metrics.rabbitmq_metrics_daily
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.rabbitmq_metrics_daily WHERE bucket >= since AND bucket < until ORDER BY bucket DESC LIMIT 10000
$$;

CREATE FUNCTION grafana.queues(since timestamptz, until timestamptz) RETURNS SETOF metrics.rabbitmq_queues
LANGUAGE sql STABLE AS $$
    SELECT * FROM metrics.rabbitmq_queues WHERE ts >= since AND ts < until ORDER BY ts DESC LIMIT 10000
$$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA grafana FROM PUBLIC;
