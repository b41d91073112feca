-- What the streaming scorer of a series has learnt: the next tick goes on where the last one ended.
CREATE TABLE analytics.scorer_states (
    target     text        NOT NULL,
    unique_id  text        NOT NULL,
    ds         timestamptz NOT NULL,
    state      bytea       NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target, unique_id)
);

COMMENT ON TABLE  analytics.scorer_states IS 'state of the anomaly scorer of each series, of bounded size';
COMMENT ON COLUMN analytics.scorer_states.target IS 'what is watched, with its unit, as in analytics.anomalies';
COMMENT ON COLUMN analytics.scorer_states.ds IS 'time of the last point that it was fed with';
COMMENT ON COLUMN analytics.scorer_states.state IS 'what analytics.streaming.Scorer.to_bytes made';

-- As what the analyses write back: it has no team in it, and is for those who see all teams.
ALTER TABLE analytics.scorer_states ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON analytics.scorer_states FOR SELECT USING ((SELECT metrics.sees_all()));
REVOKE ALL ON analytics.scorer_states FROM PUBLIC;
