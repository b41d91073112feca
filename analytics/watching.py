"""Watch series as their points come: a scorer per series, kept in the store between one tick and the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics.channels import clock_seasons
from analytics.frames import Grid, panel
from analytics.streaming import MEMORY, RATE, Scorer
from store.connect import connect
from store.errors import ParameterInvalid
from store.queries import named
from store.read import read
from store.settings import Settings

if TYPE_CHECKING:
    from analytics.frames import Frame


def watch(
    settings: Settings,
    frame: Frame,
    target: str,
    *,
    rate: float = RATE,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> pl.DataFrame:
    """Score what is new in a frame since the last call for this target, and keep what was learnt.

    A series that was never seen is scored from its start. The scores are those that `analytics.anomalies` would give to
    the whole history. Call it with the rows since the last tick, or with some older ones too: they are left out.

    Args:
        settings: where the store is.
        frame: long frame of `unique_id, ds, y`, its times with a zone.
        target: what is watched, with its unit, such as "hourly cost_usd"; states are kept under it.
        rate: share of the points of a normal series that may be flagged.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Returns:
        One row per new point: `unique_id, ds, y, expected, lo, hi, score, is_anomaly`.

    Raises:
        ParameterInvalid: times without a zone.
        NoRows, TooShort, ColumnMissing: what came in cannot be used.
    """
    names = {"id_col": id_col, "time_col": time_col, "target_col": target_col}
    scored, learnt = advance(states(settings, target), frame, target, rate=rate, **names)
    with connect(settings) as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(named("scorer_state_save").sql, learnt)
    return scored.drop("remembered")


def states(settings: Settings, target: str) -> dict[str, tuple[datetime, bytes]]:
    """By series, up to when its scorer has come, and the scorer's state."""
    return {row[0]: row[1:] for row in read(settings, "scorer_states", target=target).iter_rows()}


def advance(
    kept: Mapping[str, tuple[datetime, bytes]],
    frame: Frame,
    target: str,
    *,
    rate: float = RATE,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """What `watch` does, for a caller who keeps the states himself, together with what he makes of the scores.

    Args:
        kept: what `states` reads.
        frame: as `watch` takes it.
        target: likewise.
        rate: likewise.
        id_col: likewise.
        time_col: likewise.
        target_col: likewise.

    Returns:
        What `watch` returns, with `remembered`, how many points before each one it was judged by; and the states as
        the query `scorer_state_save` takes them.

    Raises:
        ParameterInvalid, NoRows, TooShort, ColumnMissing: as `watch`.
    """
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    dtype = data.grid.dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        raise ParameterInvalid(time_col, f"only datetimes with a zone can be watched, not {dtype}")
    seasons, width = clock_seasons(data.grid), data.values.shape[1]
    made, learnt = [], []
    for k, (name, values) in enumerate(zip(data.ids.cast(pl.String), data.values, strict=True)):
        start = int(np.flatnonzero(np.isfinite(values))[0])
        scorer = Scorer(seasons, rate=rate)
        if name in kept:
            last, state = kept[name]
            scorer = Scorer.from_bytes(bytes(state))
            new = _steps(data.grid, last, int(data.ends[k]))
            # Points that never came are missing values.
            start = width - max(new, 0)
        fed = np.concatenate([np.full(max(0, -start), np.nan), values[max(0, start) :]])
        if not len(fed):
            continue
        before = scorer.points
        scored = scorer.feed(fed)
        times = data.grid.times(data.ends[k] + np.arange(1 - len(fed), 1) * data.grid.step)
        columns = {time_col: times, target_col: fed, "expected": scored.expected, "lo": scored.low, "hi": scored.high}
        remembered = np.minimum(before + np.arange(len(fed)), MEMORY)
        told = {"score": scored.score, "remembered": remembered}
        made.append(pl.DataFrame({id_col: [name] * len(fed), **columns, **told}))
        learnt.append({"target": target, "unique_id": name, "ds": times[-1], "state": scorer.to_bytes()})
    if not made:
        unknown = [pl.lit(None, pl.Float64).alias(name) for name in ("expected", "lo", "hi", "score")]
        empty = data.history().head(0).with_columns(*unknown, remembered=pl.lit(0, pl.Int64))
        return empty.with_columns(is_anomaly=pl.lit(value=False)), []
    flagged = pl.col("score").fill_null(0.0) >= -np.log10(rate)
    return pl.concat(made).fill_nan(None).with_columns(is_anomaly=flagged), learnt


def _steps(grid: Grid, last: datetime, end: int) -> int:
    """Steps of the grid from a moment to a tick."""
    if grid.unit == "month":
        return (end - (last.year * 12 + last.month - 1)) // grid.step
    return int((end - pl.Series([last]).cast(pl.Datetime("us", "UTC")).to_physical()[0]) // grid.step)
