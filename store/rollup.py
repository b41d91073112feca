"""Bringing the hourly and daily rollups up to date, and the upkeep that goes with it."""

from __future__ import annotations

import time

import psycopg

from store.connect import connect
from store.settings import Settings

ATTEMPTS = 5
BUSY = psycopg.errors.LockNotAvailable


OWNER = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'metrics'"
LOGGED = "SELECT to_regclass('metrics.rollup_log') IS NOT NULL"


def refresh(settings: Settings) -> None:
    """Work out every rollup bucket that has changed since the last time. Two at once take turns.

    Who owns the tables also makes the partitions of the months to come and drops what is no longer to be kept. Others
    may refresh where the rollups follow a log; on TimescaleDB only the owner and the policies can: this does nothing.
    """
    with connect(settings, autocommit=True) as connection:
        owner = connection.execute(OWNER).fetchone() == (True,)
        if owner or connection.execute(LOGGED).fetchone() == (True,):
            _refresh(connection)
        if owner:
            connection.execute("CALL metrics.maintain()")


def _refresh(connection: psycopg.Connection) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            connection.execute("CALL metrics.refresh_rollups()")
            return
        except BUSY:  # TimescaleDB's own policy is at it
            if attempt == ATTEMPTS:
                raise
            time.sleep(attempt)
