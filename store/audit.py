"""The audit log: who did what, to what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.types.json import Jsonb

from store.errors import StoreError


def note(
    connection: psycopg.Connection,
    action: str,
    resource: str,
    outcome: str = "ok",
    details: Mapping[str, object] | None = None,
) -> None:
    """Add a line to `audit.access_log`; the database itself adds the time, the role that logged in and its address.

    It belongs to the transaction of `connection`: a line that is to stay when the deed is rolled back is noted
    after that, or through another connection.

    Args:
        connection: to the primary; a replica takes no notes.
        action: what was done, at most 100 characters, as "export" or "report.start".
        resource: to what: a file, a report, a table; at most 1,000 characters.
        outcome: ok, error or denied.
        details: names and counts, at most 10,000 characters of JSON. Never a secret, never a row.

    Raises:
        StoreError: there is no log yet, or the role may not write to it.
        psycopg.errors.CheckViolation: too long, or no such outcome.
    """
    try:
        connection.execute("SELECT audit.note(%s, %s, %s, %s)", [action, resource, outcome, Jsonb(dict(details or {}))])
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
        raise StoreError("the audit log is not there: run `gaugebook db migrate`") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreError(
            "this role may not write to the audit log: run `gaugebook db roles` as the owner of the database "
            "and make it a member of one of the roles of Gaugebook"
        ) from error


def kept(connection: psycopg.Connection) -> bool:
    """Whether the database has a log: one that was migrated by an older release has none."""
    return connection.execute("SELECT to_regprocedure('audit.note(text, text, text, jsonb)')").fetchone() != (None,)
