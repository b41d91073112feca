"""Write what the analyses found back into the store, for Grafana, alerts and the next report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from store.connect import connect
from store.errors import ParameterInvalid, StoreError
from store.settings import Settings
from store.write import Written, write

if TYPE_CHECKING:
    import polars as pl

    from analytics import Anomalies, Forecast

LEVELS = (80, 95)
BOUNDS = tuple(f"{side}_{level}" for level in LEVELS for side in ("lo", "hi"))
FORECASTS = (
    *("run_id", "made_at", "target", "source", "by", "unique_id", "ds", "y_hat"),
    *BOUNDS,
    *("engine", "trained_from", "trained_until"),
)
FINDING = ("unique_id", "ds", "until", "y", "expected", "score", "lo", "hi", "severity", "impact")
ANOMALIES = ("run_id", "made_at", "target", *FINDING)


def save_forecast(
    settings: Settings,
    forecast: Forecast,
    target: str,
    *,
    source: str | None = None,
    by: Sequence[str] | None = None,
    run_id: UUID | None = None,
) -> Written:
    """Write a forecast to analytics.forecasts, one row per series and step; bounds of levels but 80 and 95 stay out.

    Args:
        settings: where the store is.
        forecast: what `analytics.forecast` made of a frame with times.
        target: what was forecast, with its unit, such as "hourly cost_usd".
        source: llm_requests, llm_usage or rabbitmq_queues, where it comes from the store: with `by` the query
            `forecast_outcomes` finds what came.
        by: the dimensions that its series are named after.
        run_id: key of the run; writing the same run again adds nothing. Default: a new one.

    Raises:
        ParameterInvalid: its times are integers, or datetimes without a zone.
        StoreError: the table refused rows; the others are in.
    """
    names = {forecast.id_col: "unique_id", forecast.time_col: "ds"}
    ahead = _timed(forecast.to_polars().rename(names))
    history = _timed(forecast.history.rename(names))
    spans = {row[0]: row[1:] for row in _spans(history).iter_rows()}
    head = (run_id or uuid4(), datetime.now(UTC), target, source, None if by is None else list(by))
    columns = ["unique_id", "ds", "y_hat", *(f"y_hat-{bound.replace('_', '-')}" for bound in BOUNDS)]
    present = [name for name in columns if name in ahead.columns]
    rows = (
        (
            *head,
            str(row["unique_id"]),
            *(row.get(name) for name in columns[1:]),
            forecast.engine,
            *spans[row["unique_id"]],
        )
        for row in ahead.select(present).iter_rows(named=True)
    )
    return _write(settings, "analytics.forecasts", FORECASTS, rows)


def save_anomalies(settings: Settings, found: Anomalies, target: str, *, run_id: UUID | None = None) -> Written:
    """Write findings to analytics.anomalies, one row per finding.

    Args:
        settings: where the store is.
        found: what `analytics.anomalies` made of a frame with times.
        target: what was watched, with its unit, such as "hourly messages".
        run_id: key of the run; writing the same run again adds nothing. Default: a new one.

    Raises:
        ParameterInvalid: its times are integers, or datetimes without a zone.
        StoreError: the table refused rows; the others are in.
    """
    names = {found.id_col: "unique_id", found.time_col: "ds", found.target_col: "y"}
    findings = _timed(found.findings.rename(names))
    head = (run_id or uuid4(), datetime.now(UTC), target)
    kept = findings.select(FINDING)
    rows = ((*head, str(row[0]), *row[1:]) for row in kept.iter_rows())
    return _write(settings, "analytics.anomalies", ANOMALIES, rows)


def _spans(history: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return history.group_by("unique_id").agg(pl.col("ds").min().alias("first"), pl.col("ds").max().alias("last"))


def _timed(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame, if its times can be written down as moments."""
    import polars as pl

    dtype = frame["ds"].dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise ParameterInvalid("ds", f"only datetimes with a zone can be saved, not {dtype}")
    return frame


def _write(settings: Settings, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Written:
    with connect(settings) as connection:
        written = write(connection, table, columns, rows)
    if written.rejected:
        raise StoreError(f"{table} refused {len(written.rejected)} rows, the first: {written.rejected[0].reason}")
    return written
