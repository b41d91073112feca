-- What the forecast brings each queue, so that it can be set against what arrives while it holds.
ALTER TABLE analytics.queue_outlooks ADD COLUMN arriving_ahead_per_s float8[];

COMMENT ON COLUMN analytics.queue_outlooks.arriving_ahead_per_s IS 'median arrivals of each step after trained_until, the steps of horizon_s';
