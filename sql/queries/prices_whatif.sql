-- Tokens by what decides a price, to work out what other rates would have cost.
-- The requests, summed up where they are alike in time (quarters of an hour) and size; of days whose raw rows are gone, the days, which
-- do not know how large a request was.
--   :since, :until           timestamptz  whole days from, to (half-open)
--   :sizes                   int[]        input tokens from which on a request is in the next class
--   :provider, :model        text         what was used, null: any; a model may be a pattern of LIKE
--   :team, :project          text         whose, null: anybody's
WITH kept AS (
    SELECT date_trunc('day', coalesce(metrics.raw_since(), '-infinity') + interval '1 day - 1 microsecond', 'UTC') AS since
),
raw AS (
    SELECT
        provider, model, ts, cost_usd,
        input_tokens, coalesce(cached_tokens, 0) AS cached, coalesce(cache_write_tokens, 0) AS cache_write,
        output_tokens, coalesce(reasoning_tokens, 0) AS reasoning,
        CASE WHEN jsonb_typeof(attrs -> 'cache_write_1h_tokens') = 'number' THEN (attrs -> 'cache_write_1h_tokens')::numeric END AS cache_write_1h,
        CASE WHEN jsonb_typeof(attrs -> 'input_audio_tokens')    = 'number' THEN (attrs -> 'input_audio_tokens')::numeric END    AS input_audio,
        CASE WHEN jsonb_typeof(attrs -> 'cached_audio_tokens')   = 'number' THEN (attrs -> 'cached_audio_tokens')::numeric END   AS cached_audio,
        CASE WHEN jsonb_typeof(attrs -> 'output_audio_tokens')   = 'number' THEN (attrs -> 'output_audio_tokens')::numeric END   AS output_audio,
        CASE WHEN jsonb_typeof(attrs -> 'web_searches')          = 'number' THEN (attrs -> 'web_searches')::numeric END          AS search
    FROM metrics.llm_requests_visible, kept
    WHERE ts >= greatest(:since::timestamptz, kept.since) AND ts < :until::timestamptz
      AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR status = 'ok')
      AND (:provider::text IS NULL OR provider = :provider) AND (:model::text IS NULL OR model LIKE :model)
      AND (:team::text IS NULL OR team = :team) AND (:project::text IS NULL OR project = :project)
)
SELECT
    provider, model, date_bin('15 minutes', ts, '2000-01-01Z') AS at,
    width_bucket(coalesce(input_tokens, 0)::int8, :sizes::int8[]) AS size_class,
    (input_tokens IS NOT NULL AND output_tokens IS NOT NULL
        AND cached + cache_write <= input_tokens AND reasoning <= output_tokens)     AS metered,
    coalesce(cache_write_1h, input_audio, cached_audio, output_audio, search) IS NOT NULL AS special,
    input_audio > 0 AND cached > 0 AND cached_audio IS NULL                               AS unclear, -- how much of the audio was cached
    true                                       AS exact,
    count(*)                                   AS requests,
    coalesce(sum(input_tokens), 0)::bigint     AS input,
    sum(cached)::bigint                        AS cached,
    sum(cache_write)::bigint                   AS cache_write,
    coalesce(sum(cache_write_1h), 0)::bigint   AS cache_write_1h,
    coalesce(sum(input_audio), 0)::bigint      AS input_audio,
    coalesce(sum(cached_audio), 0)::bigint     AS cached_audio,
    coalesce(sum(output_tokens), 0)::bigint    AS output,
    sum(reasoning)::bigint                     AS reasoning,
    coalesce(sum(output_audio), 0)::bigint     AS output_audio,
    coalesce(sum(search), 0)::bigint           AS search,
    count(cost_usd)                            AS priced,
    coalesce(sum(cost_usd), 0)                 AS cost_usd
FROM raw
GROUP BY 1, 2, 3, 4, 5, 6, 7
UNION ALL
SELECT
    provider, model, bucket, 0, true, false, false, false,
    requests - errors - unmetered,
    coalesce(input_tokens, 0), coalesce(cached_tokens, 0), coalesce(cache_write_tokens, 0), 0, 0, 0,
    coalesce(output_tokens, 0), coalesce(reasoning_tokens, 0), 0, 0,
    priced, coalesce(cost_usd, 0)
FROM metrics.llm_requests_daily, kept
WHERE bucket >= :since::timestamptz AND bucket < least(kept.since, :until::timestamptz)
  AND (:provider::text IS NULL OR provider = :provider) AND (:model::text IS NULL OR model LIKE :model)
  AND (:team::text IS NULL OR team = :team) AND (:project::text IS NULL OR project = :project);
