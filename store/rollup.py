"""Bringing the hourly and daily rollups up to date."""

from __future__ import annotations

from store.connect import connect
from store.settings import Settings


def refresh(settings: Settings) -> None:
    """Work out every rollup bucket that has changed since the last time. Two at once take turns."""
    with connect(settings, autocommit=True) as connection:
        connection.execute("CALL metrics.refresh_rollups()")
