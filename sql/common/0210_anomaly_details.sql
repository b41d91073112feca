-- What a finding says besides its worst point: the range that was expected there, how severe it is, and what it cost.
ALTER TABLE analytics.anomalies
    ADD COLUMN lo       double precision,
    ADD COLUMN hi       double precision,
    ADD COLUMN severity text CHECK (severity IN ('notice', 'warning', 'critical')),
    ADD COLUMN impact   double precision;

COMMENT ON COLUMN analytics.anomalies.lo IS 'lower end of the range that the value was expected in';
COMMENT ON COLUMN analytics.anomalies.hi IS 'upper end of it';
COMMENT ON COLUMN analytics.anomalies.severity IS 'notice, warning (score from 4) or critical (from 6)';
COMMENT ON COLUMN analytics.anomalies.impact IS 'sum of value - expected over the finding; null unless the unit is money';
