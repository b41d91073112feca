-- Books calls on budgets: reserve before a call, settle after it, expire what nobody settled. Whoever locks several rows of
-- budget_periods locks them by budget_id and starts_at, so that no two wait for each other.

-- The budgets that a call counts against, each with its current period.
CREATE FUNCTION analytics.budgets_for(for_team text, for_project text, for_model text, for_key text)
RETURNS TABLE (budget_id bigint, name text, limit_usd numeric, webhook_url text, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT budgets.budget_id, budgets.name, budgets.limit_usd, budgets.webhook_url, span.starts_at, span.ends_at
    FROM analytics.budgets CROSS JOIN LATERAL analytics.budget_span(budgets.period, now()) AS span
    WHERE enabled AND removed_at IS NULL
      AND (team IS NULL OR team = for_team)
      AND (project IS NULL OR project = for_project)
      AND (key IS NULL OR key = for_key)
      AND (model IS NULL OR for_model LIKE replace(replace(replace(replace(model, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
$$;

-- Reserves the worst case of a call in every budget that it counts against, or in none of them.
--   lease       a random uuid, which settles it later
--   most_usd    what the call may cost at worst; null: nobody knows, and nothing is reserved
--   least_usd   what it may cost at worst where it can be cut down; the same as most_usd where it cannot
--   lasts_s     seconds after which the lease expires
--   outcome     'none': no budget; 'unpriced': there are some, and no price; 'refused': by the one budget that is told;
--               'reserved': granted_usd in all the budgets that are told
--   first_refusal, webhook_url   nobody was refused by this budget in this period before; where to post that
--   stale       some lease has expired and waits for expire_leases()
CREATE FUNCTION analytics.reserve(
    lease uuid, for_team text, for_project text, for_model text, for_key text, most_usd numeric, least_usd numeric, lasts_s integer,
    OUT outcome text, OUT granted_usd numeric,
    OUT names text[], OUT limits_usd numeric[], OUT spent_usd numeric[], OUT held_usd numeric[], OUT resets_at timestamptz[],
    OUT first_refusal boolean, OUT webhook_url text, OUT stale boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    refusing record;
    due      record;
    booked   record;
    room     numeric;
    ids      bigint[];
    starts   timestamptz[];
BEGIN
    -- NaN is greater than any number. What is null passes here.
    IF NOT (most_usd BETWEEN 0 AND 1e9 AND least_usd BETWEEN 0 AND most_usd) OR lasts_s NOT BETWEEN 1 AND 86400 THEN
        RAISE EXCEPTION 'a call cannot be reserved with % to % USD for % s', least_usd, most_usd, lasts_s USING ERRCODE = 'invalid_parameter_value';
    END IF;
    first_refusal := false;
    stale := false;
    IF most_usd IS NULL THEN
        SELECT array_agg(budget.name ORDER BY budget.budget_id) INTO names
        FROM analytics.budgets_for(for_team, for_project, for_model, for_key) AS budget;
        outcome := CASE WHEN names IS NULL THEN 'none' ELSE 'unpriced' END;
        RETURN;
    END IF;
    <<attempt>>
    LOOP
        -- A budget without room is only looked at: calls that are refused wait for nobody and write nothing, but for the first.
        SELECT budget.*, coalesce(period.settled_usd, 0) AS spent, coalesce(period.reserved_usd, 0) AS held, period.refused_at INTO refusing
        FROM analytics.budgets_for(for_team, for_project, for_model, for_key) AS budget
        LEFT JOIN analytics.budget_periods AS period ON period.budget_id = budget.budget_id AND period.starts_at = budget.starts_at
        WHERE budget.limit_usd - coalesce(period.settled_usd + period.reserved_usd, 0) < least_usd
        ORDER BY budget.budget_id LIMIT 1;
        IF FOUND THEN
            outcome := 'refused';
            names := ARRAY[refusing.name];
            limits_usd := ARRAY[refusing.limit_usd];
            spent_usd := ARRAY[refusing.spent];
            held_usd := ARRAY[refusing.held];
            resets_at := ARRAY[refusing.ends_at];
            IF refusing.refused_at IS NULL THEN
                INSERT INTO analytics.budget_periods AS period (budget_id, starts_at, ends_at, limit_usd, refused_at)
                VALUES (refusing.budget_id, refusing.starts_at, refusing.ends_at, refusing.limit_usd, now())
                ON CONFLICT (budget_id, starts_at) DO UPDATE SET refused_at = now() WHERE period.refused_at IS NULL;
                first_refusal := FOUND;
                webhook_url := refusing.webhook_url;
            END IF;
            RETURN;
        END IF;
        granted_usd := most_usd;
        ids := '{}';
        starts := '{}';
        names := '{}';
        limits_usd := '{}';
        spent_usd := '{}';
        held_usd := '{}';
        resets_at := '{}';
        FOR due IN
            SELECT * FROM analytics.budgets_for(for_team, for_project, for_model, for_key) AS budget ORDER BY budget.budget_id
        LOOP
            LOOP
                SELECT period.settled_usd AS spent, period.reserved_usd AS held INTO booked FROM analytics.budget_periods AS period
                WHERE period.budget_id = due.budget_id AND period.starts_at = due.starts_at FOR NO KEY UPDATE;
                EXIT WHEN FOUND;
                INSERT INTO analytics.budget_periods (budget_id, starts_at, ends_at, limit_usd)
                VALUES (due.budget_id, due.starts_at, due.ends_at, due.limit_usd) ON CONFLICT DO NOTHING;
            END LOOP;
            room := due.limit_usd - booked.spent - booked.held;
            CONTINUE attempt WHEN room < least_usd; -- somebody was faster: the look will tell
            granted_usd := least(granted_usd, room);
            ids := ids || due.budget_id;
            starts := starts || due.starts_at;
            names := names || due.name;
            limits_usd := limits_usd || due.limit_usd;
            spent_usd := spent_usd || booked.spent;
            held_usd := held_usd || booked.held;
            resets_at := resets_at || due.ends_at;
        END LOOP;
        EXIT;
    END LOOP;
    IF ids = '{}' THEN
        outcome := 'none';
        granted_usd := NULL;
        RETURN;
    END IF;
    outcome := 'reserved';
    UPDATE analytics.budget_periods AS period SET reserved_usd = period.reserved_usd + granted_usd, limit_usd = due_now.limit_usd
    FROM unnest(ids, starts, limits_usd) AS due_now (budget_id, starts_at, limit_usd)
    WHERE period.budget_id = due_now.budget_id AND period.starts_at = due_now.starts_at;
    SELECT array_agg(held + granted_usd ORDER BY place) INTO held_usd FROM unnest(held_usd) WITH ORDINALITY AS before (held, place);
    INSERT INTO analytics.budget_leases (lease_id, budget_ids, starts_at, amount_usd, expires_at)
    VALUES (lease, ids, starts, granted_usd, now() + make_interval(secs => lasts_s));
    stale := EXISTS (SELECT FROM analytics.budget_leases AS other WHERE other.expires_at <= now());
END $$;

-- Books what calls have cost; a cost that is null is the worst case. A lease that is not there was settled before, and is passed by;
-- one that has expired meanwhile is booked as it was after all. Returns how the budgets stand now, and the soft limit that each has
-- just reached, which is told to nobody else.
CREATE FUNCTION analytics.settle(leases uuid[], costs_usd numeric[])
RETURNS TABLE (name text, period text, limit_usd numeric, spent_usd numeric, held_usd numeric, resets_at timestamptz, level numeric, webhook_url text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    booking record;
    before  numeric;
    reached numeric;
BEGIN
    IF cardinality(leases) <> cardinality(costs_usd) OR EXISTS (SELECT FROM unnest(costs_usd) AS cost WHERE cost NOT BETWEEN 0 AND 1e9) THEN
        RAISE EXCEPTION 'a call cannot have cost less than nothing, or more than 1e9 USD' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Those that expire at this moment are waited for, so that the next statement finds them where they are then.
    PERFORM FROM analytics.budget_leases AS lease WHERE lease.lease_id = ANY (leases) FOR UPDATE;
    FOR booking IN
        WITH given AS MATERIALIZED (
            SELECT DISTINCT ON (lease_id) * FROM unnest(leases, costs_usd) AS given (lease_id, cost)
        ),
        under_way AS (
            DELETE FROM analytics.budget_leases AS lease USING given WHERE lease.lease_id = given.lease_id
            RETURNING lease.*, coalesce(given.cost, lease.amount_usd) AS cost, false AS late
        ),
        late AS (
            DELETE FROM analytics.budget_expired AS lease USING given WHERE lease.lease_id = given.lease_id AND given.cost IS NOT NULL
            RETURNING lease.*, given.cost, true AS late
        ),
        ended AS (
            SELECT * FROM under_way UNION ALL SELECT * FROM late
        )
        SELECT booked_on.budget_id, booked_on.starts_at,
               sum(CASE WHEN late THEN cost - amount_usd ELSE cost END) AS spent,
               sum(CASE WHEN late THEN 0 ELSE amount_usd END)           AS held,
               sum(CASE WHEN late THEN amount_usd ELSE 0 END)           AS expired,
               sum(greatest(0, cost - amount_usd))                      AS overrun,
               count(*) FILTER (WHERE NOT late)                         AS calls
        FROM ended CROSS JOIN LATERAL unnest(budget_ids, ended.starts_at) AS booked_on (budget_id, starts_at)
        GROUP BY booked_on.budget_id, booked_on.starts_at ORDER BY booked_on.budget_id, booked_on.starts_at
    LOOP
        SELECT booked.announced INTO before FROM analytics.budget_periods AS booked
        WHERE booked.budget_id = booking.budget_id AND booked.starts_at = booking.starts_at FOR NO KEY UPDATE;
        UPDATE analytics.budget_periods AS booked
        SET settled_usd  = booked.settled_usd + booking.spent,
            reserved_usd = booked.reserved_usd - booking.held,
            expired_usd  = booked.expired_usd - booking.expired,
            overrun_usd  = booked.overrun_usd + booking.overrun,
            calls        = booked.calls + booking.calls,
            announced    = greatest(booked.announced, (
                SELECT max(fraction) FROM unnest(budget.soft_limits) AS fraction
                WHERE booked.ends_at > now() AND budget.limit_usd > 0 AND booked.settled_usd + booking.spent >= fraction * budget.limit_usd
            ))
        FROM analytics.budgets AS budget
        WHERE budget.budget_id = booking.budget_id AND booked.budget_id = booking.budget_id AND booked.starts_at = booking.starts_at
        RETURNING budget.name, budget.period, budget.limit_usd, booked.settled_usd, booked.reserved_usd, booked.ends_at, booked.announced, budget.webhook_url
        INTO name, period, limit_usd, spent_usd, held_usd, resets_at, reached, webhook_url;
        level := CASE WHEN reached > before THEN reached END;
        IF resets_at > now() THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Books leases that have expired at their worst case, for the call may have been made and paid for; how many. It need not be
-- called often: what an expired lease holds is not handed out again either way.
CREATE FUNCTION analytics.expire_leases() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    booking record;
    expired bigint := 0;
BEGIN
    FOR booking IN
        WITH due AS MATERIALIZED (
            SELECT lease.lease_id FROM analytics.budget_leases AS lease WHERE lease.expires_at <= now()
            ORDER BY lease.expires_at LIMIT 10000 FOR UPDATE SKIP LOCKED
        ),
        gone AS (
            DELETE FROM analytics.budget_leases AS lease USING due WHERE lease.lease_id = due.lease_id RETURNING lease.*
        ),
        kept AS (
            INSERT INTO analytics.budget_expired SELECT * FROM gone
        )
        SELECT booked_on.budget_id, booked_on.starts_at, sum(gone.amount_usd) AS amount, count(*) AS calls, (SELECT count(*) FROM gone) AS leases
        FROM gone CROSS JOIN LATERAL unnest(gone.budget_ids, gone.starts_at) AS booked_on (budget_id, starts_at)
        GROUP BY booked_on.budget_id, booked_on.starts_at ORDER BY booked_on.budget_id, booked_on.starts_at
    LOOP
        UPDATE analytics.budget_periods AS booked
        SET settled_usd  = booked.settled_usd + booking.amount,
            reserved_usd = booked.reserved_usd - booking.amount,
            expired_usd  = booked.expired_usd + booking.amount,
            calls        = booked.calls + booking.calls
        WHERE booked.budget_id = booking.budget_id AND booked.starts_at = booking.starts_at;
        expired := booking.leases;
    END LOOP;
    IF expired > 0 THEN
        DELETE FROM analytics.budget_expired AS lease WHERE lease.expires_at < now() - interval '1 day';
    END IF;
    RETURN expired;
END $$;

-- How some budgets stand, for those who book on them and may not read the ledger.
CREATE FUNCTION analytics.budgets_left(known text[])
RETURNS TABLE (name text, limit_usd numeric, left_usd numeric, resets_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT name, limit_usd, left_usd, resets_at FROM analytics.budget_status WHERE enabled AND name = ANY (known)
$$;

REVOKE ALL ON FUNCTION analytics.budgets_for, analytics.reserve, analytics.settle, analytics.expire_leases, analytics.budgets_left FROM PUBLIC;
