-- The tables and views of the store with their columns, partitions left out: one row per column, in the order of both.
SELECT
    format('%s.%s', space.nspname, relation.relname) AS name,
    attribute.attname::text                           AS column_name
FROM pg_attribute AS attribute
JOIN pg_class AS relation ON relation.oid = attribute.attrelid
JOIN pg_namespace AS space ON space.oid = relation.relnamespace
WHERE space.nspname IN ('metrics', 'analytics', 'audit')
  AND relation.relkind IN ('r', 'v', 'm', 'p')
  AND NOT relation.relispartition
  AND attribute.attnum > 0
  AND NOT attribute.attisdropped
ORDER BY space.nspname, relation.relname, attribute.attnum;
