"""Bringing the hourly and daily rollups up to date, and the upkeep that goes with it."""

from __future__ import annotations

import time

import psycopg

from store.connect import connect
from store.settings import Settings

ATTEMPTS = 5


def refresh(settings: Settings) -> None:
    """Work out every rollup bucket that has changed since the last time. Two at once take turns.

    Who owns the tables also makes the partitions of the months to come and drops what is no longer to be kept.
    """
    with connect(settings, autocommit=True) as connection:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                connection.execute("CALL metrics.refresh_rollups()")
                break
            except psycopg.errors.LockNotAvailable:  # TimescaleDB's own policy is at it
                if attempt == ATTEMPTS:
                    raise
                time.sleep(attempt)
        owner = connection.execute(
            "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'metrics'"
        ).fetchone()
        if owner == (True,):
            connection.execute("CALL metrics.maintain()")
