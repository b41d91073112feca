"""What is kept for how long and refreshed how often: from the settings into the database."""

from __future__ import annotations

from datetime import timedelta

from store.connect import connect
from store.errors import SettingsError
from store.rollup import refresh
from store.settings import Settings


def apply(settings: Settings) -> None:
    """Set retention, compression and refresh to what `settings` say.

    All that is there is rolled up first: what a policy drops later is in the rollups.

    Raises:
        SettingsError: hourly rollups would be dropped before the raw rows that they are worked out from.
    """
    raw, hourly = settings.keep_raw_days, settings.keep_hourly_days
    if hourly is not None and (raw is None or hourly <= raw):
        raise SettingsError(
            "keep_hourly_days", "settings", f"must be more than keep_raw_days, which is {raw or 'not set'}"
        )
    refresh(settings)
    with connect(settings) as connection:
        connection.execute(
            "CALL metrics.set_policies(%s::interval, %s::interval, %s::interval, %s::interval)",
            [_days(raw), _days(hourly), _days(settings.compress_after_days), _seconds(settings.refresh_every_s)],
        )


def _days(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
