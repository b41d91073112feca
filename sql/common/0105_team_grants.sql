-- Whose rows a role may see. A grant to a role counts for its members; the team '*' stands for all teams.
CREATE TABLE metrics.team_grants (
    role_name name NOT NULL,
    team      text NOT NULL,
    PRIMARY KEY (role_name, team)
);

COMMENT ON TABLE metrics.team_grants IS 'which teams a role may see; * is all of them';

-- Whether the current user sees every team: an administrator, who owns the schema, or who has the grant '*'.
CREATE FUNCTION metrics.sees_all() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_namespace WHERE nspname = 'metrics' AND pg_has_role(current_user, nspowner, 'USAGE')
    ) OR EXISTS (
        SELECT FROM pg_roles
        WHERE (rolname = 'gaugebook_admin' OR rolname IN (SELECT role_name FROM metrics.team_grants WHERE team = '*'))
          AND pg_has_role(current_user, oid, 'USAGE')
    )
$$;

-- The teams that the current user has been granted.
CREATE FUNCTION metrics.visible_teams() RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT team), '{}')
    FROM metrics.team_grants JOIN pg_roles ON rolname = role_name
    WHERE pg_has_role(current_user, pg_roles.oid, 'USAGE')
$$;
