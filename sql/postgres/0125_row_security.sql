-- Readers see the rows of their own teams, in the raw tables and in the stored rollups. The owner of the tables sees them all.
CREATE PROCEDURE metrics.hide_other_teams(named regclass)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', named);
    EXECUTE format('CREATE POLICY own_teams ON %s FOR SELECT
                    USING ((SELECT metrics.sees_all()) OR team = ANY ((SELECT metrics.visible_teams())::text[]))', named);
    EXECUTE format('CREATE POLICY any_writer ON %s FOR INSERT WITH CHECK (true)', named);
END $$;

CALL metrics.hide_other_teams('metrics.llm_requests');
CALL metrics.hide_other_teams('metrics.llm_requests_hourly_stored');
CALL metrics.hide_other_teams('metrics.llm_requests_daily_stored');
CALL metrics.hide_other_teams('metrics.llm_usage');
CALL metrics.hide_other_teams('metrics.llm_usage_hourly_stored');
CALL metrics.hide_other_teams('metrics.llm_usage_daily_stored');
DROP PROCEDURE metrics.hide_other_teams;

-- Raw rows as queries read them: the same names on both back ends.
CREATE VIEW metrics.llm_requests_visible WITH (security_invoker = true) AS SELECT * FROM metrics.llm_requests;
CREATE VIEW metrics.llm_usage_visible WITH (security_invoker = true) AS SELECT * FROM metrics.llm_usage;
