-- Samples of a RabbitMQ cluster. Counters (`_total`) are the broker's own; rates are worked out between two samples.
CREATE TABLE metrics.rabbitmq_queues (
    ts                   timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    cluster              text        NOT NULL,
    vhost                text        NOT NULL,
    queue                text        NOT NULL,
    type                 text,
    state                text,
    policy               text,
    messages             bigint      CHECK (messages >= 0),
    messages_ready       bigint      CHECK (messages_ready >= 0),
    messages_unacked     bigint      CHECK (messages_unacked >= 0),
    message_bytes        bigint      CHECK (message_bytes >= 0),
    memory_bytes         bigint      CHECK (memory_bytes >= 0),
    consumers            integer     CHECK (consumers >= 0),
    consumer_utilisation float8      CHECK (consumer_utilisation BETWEEN 0 AND 1),
    head_age_s           float8      CHECK (head_age_s >= 0 AND head_age_s < 'infinity'),
    published_total      bigint      CHECK (published_total >= 0),
    delivered_total      bigint      CHECK (delivered_total >= 0),
    acked_total          bigint      CHECK (acked_total >= 0),
    redelivered_total    bigint      CHECK (redelivered_total >= 0),
    published_per_s      float8      CHECK (published_per_s >= 0 AND published_per_s < 'infinity'),
    delivered_per_s      float8      CHECK (delivered_per_s >= 0 AND delivered_per_s < 'infinity'),
    acked_per_s          float8      CHECK (acked_per_s >= 0 AND acked_per_s < 'infinity'),
    redelivered_per_s    float8      CHECK (redelivered_per_s >= 0 AND redelivered_per_s < 'infinity'),
    attrs                jsonb,
    PRIMARY KEY (ts, cluster, vhost, queue)
);

COMMENT ON TABLE  metrics.rabbitmq_queues IS 'one row per queue and sample';
COMMENT ON COLUMN metrics.rabbitmq_queues.messages IS 'depth: ready and unacknowledged';
COMMENT ON COLUMN metrics.rabbitmq_queues.head_age_s IS 'age of the oldest message, where publishers stamp the time';
COMMENT ON COLUMN metrics.rabbitmq_queues.delivered_total IS 'messages handed to consumers or fetched, with and without acknowledgement';

CREATE TABLE metrics.rabbitmq_nodes (
    ts                    timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    cluster               text        NOT NULL,
    node                  text        NOT NULL,
    running               boolean     NOT NULL,
    memory_bytes          bigint      CHECK (memory_bytes >= 0),
    memory_limit_bytes    bigint      CHECK (memory_limit_bytes >= 0),
    memory_alarm          boolean,
    disk_free_bytes       bigint      CHECK (disk_free_bytes >= 0),
    disk_free_limit_bytes bigint      CHECK (disk_free_limit_bytes >= 0),
    disk_alarm            boolean,
    fd_used               integer     CHECK (fd_used >= 0),
    fd_total              integer     CHECK (fd_total >= 0),
    sockets_used          integer     CHECK (sockets_used >= 0),
    sockets_total         integer     CHECK (sockets_total >= 0),
    processes_used        integer     CHECK (processes_used >= 0),
    processes_total       integer     CHECK (processes_total >= 0),
    run_queue             integer     CHECK (run_queue >= 0),
    uptime_s              float8      CHECK (uptime_s >= 0),
    attrs                 jsonb,
    PRIMARY KEY (ts, cluster, node)
);

COMMENT ON TABLE metrics.rabbitmq_nodes IS 'one row per node and sample';

CREATE TABLE metrics.rabbitmq_overview (
    ts               timestamptz NOT NULL CHECK (ts >= '2000-01-01Z' AND ts < '2200-01-01Z'),
    cluster          text        NOT NULL,
    rabbitmq_version text,
    erlang_version   text,
    connections      integer     CHECK (connections >= 0),
    channels         integer     CHECK (channels >= 0),
    consumers        integer     CHECK (consumers >= 0),
    queues           integer     CHECK (queues >= 0),
    exchanges        integer     CHECK (exchanges >= 0),
    messages         bigint      CHECK (messages >= 0),
    messages_ready   bigint      CHECK (messages_ready >= 0),
    messages_unacked bigint      CHECK (messages_unacked >= 0),
    published_total  bigint      CHECK (published_total >= 0),
    delivered_total  bigint      CHECK (delivered_total >= 0),
    acked_total      bigint      CHECK (acked_total >= 0),
    published_per_s  float8      CHECK (published_per_s >= 0 AND published_per_s < 'infinity'),
    delivered_per_s  float8      CHECK (delivered_per_s >= 0 AND delivered_per_s < 'infinity'),
    acked_per_s      float8      CHECK (acked_per_s >= 0 AND acked_per_s < 'infinity'),
    attrs            jsonb,
    PRIMARY KEY (ts, cluster)
);

COMMENT ON TABLE metrics.rabbitmq_overview IS 'one row per cluster and sample';
