-- Raw tables become hypertables with chunks of one week.
CREATE EXTENSION IF NOT EXISTS timescaledb;

SELECT create_hypertable('metrics.llm_requests', by_range('ts', interval '7 days'), create_default_indexes => false);
SELECT create_hypertable('metrics.llm_usage', by_range('ts', interval '7 days'), create_default_indexes => false);
SELECT create_hypertable('metrics.rabbitmq_queues', by_range('ts', interval '7 days'), create_default_indexes => false);
SELECT create_hypertable('metrics.rabbitmq_nodes', by_range('ts', interval '7 days'), create_default_indexes => false);
SELECT create_hypertable('metrics.rabbitmq_overview', by_range('ts', interval '7 days'), create_default_indexes => false);

-- A hypertable makes its own chunks; the writer need not know.
CREATE PROCEDURE metrics.ensure_partitions(raw regclass, months timestamptz[])
LANGUAGE sql AS '';
