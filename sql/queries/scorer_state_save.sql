-- Keep the state of a scorer; one that is further on stays.
INSERT INTO analytics.scorer_states AS kept (target, unique_id, ds, state)
VALUES (:target, :unique_id, :ds, :state)
ON CONFLICT (target, unique_id) DO UPDATE
SET ds = excluded.ds, state = excluded.state, changed_at = now()
WHERE kept.ds <= excluded.ds
