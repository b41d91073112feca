-- The ledger of migrations. It is made before the first of them.
CREATE SCHEMA IF NOT EXISTS audit;

CREATE TABLE IF NOT EXISTS audit.schema_migrations (
    number     integer     PRIMARY KEY,
    file       text        NOT NULL,
    checksum   text        NOT NULL,
    back_end   text        NOT NULL CHECK (back_end IN ('postgres', 'timescale')),
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text        NOT NULL DEFAULT session_user
);
