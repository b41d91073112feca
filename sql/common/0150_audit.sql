-- Who did what. Rows are added through audit.note() and stay: nobody changes or removes one, not even the owner.
CREATE TABLE audit.access_log (
    timestamp  timestamptz NOT NULL DEFAULT clock_timestamp(),
    user_id    text        NOT NULL,
    action     text        NOT NULL CHECK (length(action) BETWEEN 1 AND 100),
    resource   text        NOT NULL CHECK (length(resource) <= 1000),
    ip_address inet,
    outcome    text        NOT NULL CHECK (outcome IN ('ok', 'error', 'denied')),
    details    jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(details) = 'object' AND length(details::text) <= 10000)
);

COMMENT ON TABLE  audit.access_log IS 'who did what; append-only';
COMMENT ON COLUMN audit.access_log.user_id IS 'the role that logged in, whatever role it had put on';
COMMENT ON COLUMN audit.access_log.action IS 'what was done, as migrate or report.start';
COMMENT ON COLUMN audit.access_log.resource IS 'to what: a file, a report, a table';
COMMENT ON COLUMN audit.access_log.ip_address IS 'where from; null: through the socket of the server itself';
COMMENT ON COLUMN audit.access_log.details IS 'names and counts, never secrets';

CREATE INDEX ON audit.access_log (timestamp);

CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'audit.access_log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.access_log
FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Under session_replication_role = replica too.
ALTER TABLE audit.access_log ENABLE ALWAYS TRIGGER append_only;

-- Notes one deed. Who and where from are the session's own, so that nobody can sign for another.
CREATE FUNCTION audit.note(action text, resource text, outcome text DEFAULT 'ok', details jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audit.access_log (user_id, action, resource, ip_address, outcome, details)
    VALUES (session_user, action, resource, inet_client_addr(), outcome, details)
$$;

REVOKE ALL ON TABLE audit.access_log FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.note, audit.refuse_change FROM PUBLIC;

-- What was done before there was a log.
INSERT INTO audit.access_log (timestamp, user_id, action, resource, outcome)
SELECT applied_at, applied_by, 'migrate', file, 'ok' FROM audit.schema_migrations ORDER BY number;
