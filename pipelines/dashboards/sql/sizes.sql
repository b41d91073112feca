-- The largest tables, each with its partitions or chunks.
SELECT
    parent.relname AS "table",
    sum(pg_total_relation_size(part.oid))::float8                    AS size,
    sum(greatest(part.reltuples, 0))::float8                         AS rows
FROM pg_class AS parent
JOIN pg_namespace AS space ON space.oid = parent.relnamespace AND space.nspname IN ('metrics', 'analytics')
JOIN LATERAL (
    SELECT oid, reltuples FROM pg_class WHERE oid = parent.oid
    UNION ALL
    SELECT child.oid, child.reltuples FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = parent.oid
) AS part ON true
WHERE parent.relkind IN ('r', 'p') AND NOT parent.relispartition
GROUP BY parent.relname
ORDER BY size DESC
LIMIT 12
