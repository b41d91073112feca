-- How far the stored rollups are behind: one row per family, with the hours before this one that wait where the store can tell.
SELECT family, lag_s, late_hours
FROM metrics.rollup_lag
ORDER BY family;
