-- States of the scorers of one target: one row per series.
--   :target  text  what is watched, as in analytics.anomalies
SELECT unique_id, ds, state
FROM analytics.scorer_states
WHERE target = :target
