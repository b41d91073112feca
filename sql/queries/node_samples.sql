-- Single samples of nodes: one row per node and sample, in the order of time.
--   :since, :until  timestamptz  when it was taken (half-open)
SELECT
    ts, cluster, node, running, memory_bytes, memory_limit_bytes, memory_alarm, disk_free_bytes, disk_free_limit_bytes,
    disk_alarm, fd_used, fd_total, sockets_used, sockets_total, processes_used, processes_total, run_queue, uptime_s
FROM metrics.rabbitmq_nodes
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz
ORDER BY ts, cluster, node;
