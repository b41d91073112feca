-- States of the scorers of one target.
SELECT unique_id, ds, state
FROM analytics.scorer_states
WHERE target = :target
