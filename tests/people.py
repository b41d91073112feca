"""People who log in to a test's server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg import sql

_numbers = count()


@contextmanager
def person(connection: psycopg.Connection, name: str, *groups: str) -> Iterator[str]:
    """A login role that is a member of `groups`, under a name that is free on the whole server; dropped afterwards.

    `connection` is a superuser's, with autocommit; it may have put on another role meanwhile.
    """
    unique = f"{name}_{os.getpid()}_{next(_numbers)}"
    role = sql.Identifier(unique)
    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    try:
        for group in groups:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
        yield unique
    finally:
        connection.rollback()
        connection.execute("RESET SESSION AUTHORIZATION")
        connection.execute("RESET ROLE")
        connection.execute("RESET ALL")
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
