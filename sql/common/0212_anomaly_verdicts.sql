-- What people said of findings: that a stretch is to be silent, that a finding was none, or that it was one.
CREATE TABLE analytics.anomaly_verdicts (
    verdict_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target     text        NOT NULL,
    unique_id  text,
    since      timestamptz NOT NULL,
    until      timestamptz NOT NULL CHECK (until > since),
    verdict    text        NOT NULL CHECK (verdict IN ('mute', 'false', 'true')),
    score      double precision,
    reason     text        NOT NULL DEFAULT '',
    made_at    timestamptz NOT NULL DEFAULT now(),
    made_by    text        NOT NULL DEFAULT session_user,
    removed_at timestamptz
);

COMMENT ON TABLE  analytics.anomaly_verdicts IS 'feedback on anomalies; one that is removed stays for its history';
COMMENT ON COLUMN analytics.anomaly_verdicts.target IS 'what is watched, as in analytics.anomalies';
COMMENT ON COLUMN analytics.anomaly_verdicts.unique_id IS 'the series; null: every series of the target';
COMMENT ON COLUMN analytics.anomaly_verdicts.until IS 'end, not included';
COMMENT ON COLUMN analytics.anomaly_verdicts.verdict IS 'mute: say nothing of this stretch; false, true: the finding in it was none, or was one';
COMMENT ON COLUMN analytics.anomaly_verdicts.score IS 'score of the finding that was judged; null of a mute';

CREATE INDEX anomaly_verdicts_target ON analytics.anomaly_verdicts (target) WHERE removed_at IS NULL;

ALTER TABLE analytics.anomaly_verdicts ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_teams ON analytics.anomaly_verdicts FOR SELECT USING ((SELECT metrics.sees_all()));
REVOKE ALL ON analytics.anomaly_verdicts FROM PUBLIC;
