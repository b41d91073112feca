-- Nothing is anybody's by default. What each role may do stands in roles.sql.
REVOKE ALL ON SCHEMA metrics, analytics, audit FROM PUBLIC;

-- Who may run a trigger function may put it on a table of his own; one that runs as its owner would then meet his types and casts.
REVOKE ALL ON ALL ROUTINES IN SCHEMA metrics, analytics, audit FROM PUBLIC;

-- What the analyses write back has no team in it: it is for those who see all teams.
ALTER TABLE analytics.forecasts ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.anomalies ENABLE ROW LEVEL SECURITY;
ALTER TABLE analytics.report_run ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON analytics.forecasts FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY all_teams ON analytics.anomalies FOR SELECT USING ((SELECT metrics.sees_all()));
CREATE POLICY all_teams ON analytics.report_run FOR SELECT USING ((SELECT metrics.sees_all()));

-- Everybody sees the grants that count for him, and an administrator sees all.
ALTER TABLE metrics.team_grants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_grants ON metrics.team_grants FOR SELECT USING (
    role_name IN (SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'USAGE'))
    OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'gaugebook_admin' AND pg_has_role(current_user, oid, 'USAGE'))
);
