-- One call that two sources report is one row. Of reports that have the provider and the request id in common, that name different
-- sources of `precedence`, and whose times are at most `tolerance` apart, the one whose source comes first is kept.
--   refs         the caller's own marks of the reports that are about to be written
--   sent, ids, providers, sources   their ts, request_id, provider and source
-- Deletes the stored rows that a report beats; `losers` are the marks of the reports that are beaten themselves. Writers take
-- turns until they commit, so that neither of two reports can miss the other. It runs as the owner: a writer neither reads nor deletes.
CREATE FUNCTION metrics.supersede(
    refs tid[], sent timestamptz[], ids text[], providers text[], sources text[], precedence text[], tolerance interval,
    OUT losers tid[], OUT removed bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    since          timestamptz;
    until          timestamptz;
    near_sent      timestamptz[];
    near_ids       text[];
    near_providers text[];
    near_ranks     integer[];
BEGIN
    tolerance := least(tolerance, interval '1 hour'); -- whoever may call this can make rows go: no further than clocks differ
    PERFORM pg_advisory_xact_lock(hashtext('gaugebook.supersede'));
    SELECT min(moment) - tolerance, max(moment) + tolerance INTO since, until FROM unnest(sent) AS moment;

    -- The stored reports of the same calls. Each span of time around the reports is read once, however many of them are in it.
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(sent, ids, providers) AS report (ts, id, provider)
    ),
    span AS MATERIALIZED (
        SELECT unnest(range_agg(tstzrange(ts - tolerance, ts + tolerance, '[]'))) AS covered FROM given
    ),
    near AS MATERIALIZED (
        SELECT stored.*
        FROM span CROSS JOIN LATERAL (
            SELECT ts, request_id, provider, array_position(precedence, source) AS rank
            FROM metrics.llm_requests
            WHERE ts BETWEEN lower(covered) AND upper(covered) AND ts BETWEEN since AND until AND source = ANY (precedence)
            OFFSET 0
        ) AS stored
    )
    SELECT array_agg(ts), array_agg(request_id), array_agg(provider), array_agg(rank)
    INTO near_sent, near_ids, near_providers, near_ranks
    FROM near WHERE (request_id, provider) IN (SELECT id, provider FROM given);

    WITH given AS MATERIALIZED (
        SELECT ref, ts, id, provider, array_position(precedence, source) AS rank
        FROM unnest(refs, sent, ids, providers, sources) AS report (ref, ts, id, provider, source)
    ),
    better AS MATERIALIZED (
        SELECT ts, id, provider, rank FROM given
        UNION ALL
        SELECT * FROM unnest(near_sent, near_ids, near_providers, near_ranks)
    )
    SELECT coalesce(array_agg(DISTINCT given.ref), '{}') INTO losers
    FROM given JOIN better USING (id, provider)
    WHERE better.rank < given.rank AND better.ts BETWEEN given.ts - tolerance AND given.ts + tolerance;

    removed := 0;
    IF near_sent IS NOT NULL THEN
        WITH given AS MATERIALIZED (
            SELECT ts, id, provider, array_position(precedence, source) AS rank
            FROM unnest(sent, ids, providers, sources) AS report (ts, id, provider, source)
        ),
        beaten AS MATERIALIZED (
            SELECT DISTINCT near.ts, near.id
            FROM unnest(near_sent, near_ids, near_providers, near_ranks) AS near (ts, id, provider, rank) JOIN given USING (id, provider)
            WHERE given.rank < near.rank AND given.ts BETWEEN near.ts - tolerance AND near.ts + tolerance
        )
        DELETE FROM metrics.llm_requests AS stored USING beaten
        WHERE stored.ts = beaten.ts AND stored.request_id = beaten.id AND stored.ts BETWEEN since AND until;
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
END $$;

REVOKE ALL ON FUNCTION metrics.supersede FROM PUBLIC;
