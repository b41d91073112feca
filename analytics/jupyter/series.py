"""What `%forecast` and `%anomalies` are about: a frame in a variable, or a measure of the store by its name."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from store.errors import NoRows, ParameterInvalid, UnknownName

if TYPE_CHECKING:
    from analytics.frames import Frame

MONEY = ("cost_usd",)
RATES = ("published_per_s", "delivered_per_s", "acked_per_s")
WEEK_DAYS = 7
DAY_MS = 86_400_000
PLAIN = 12  # steps ahead where times are no clock


def measures() -> list[str]:
    """The measures of the store that have a name."""
    from analytics import load

    return [*load.VALUES["llm_requests"], *load.QUEUE_VALUES]


def chosen(asked: Namespace, around: Mapping[str, Any]) -> tuple[Frame, dict[str, Any]]:
    """The frame that was asked for, and what analyses are to be told of it: unit, names of columns.

    Raises:
        UnknownName: it is neither a variable nor a measure.
        ParameterInvalid: the variable is no frame.
        NoRows: the store has nothing of it.
    """
    from analytics import load

    names = {"id_col": asked.id, "time_col": asked.time, "target_col": asked.target}
    if asked.what in around:
        return _framed(asked.what, around[asked.what]), {"unit": asked.unit or "", **names}
    if asked.what not in measures():
        frames = [name for name, one in around.items() if not name.startswith("_") and hasattr(one, "columns")]
        raise UnknownName("frame or measure", asked.what, [*frames, *measures()])
    queue = asked.what in load.QUEUE_VALUES
    by = tuple(asked.by.split(",")) if asked.by else ("queue",) if queue else ()
    where = load.span("rabbitmq_queues" if queue else "llm_requests", days=asked.days)
    read = load.queues if queue else load.llm
    frame = read(value=asked.what, by=by, since=where.since, until=where.until) if where.buckets else None
    if frame is None or len(frame) == 0:
        raise NoRows(asked.what)
    unit = "USD" if asked.what in MONEY else "" if asked.what in RATES else asked.what.replace("_", " ")
    return frame, {"unit": asked.unit or unit}


def steps(frame: Frame, asked: str | None, time_col: str = "ds") -> int:
    """How many steps ahead: a number, a duration such as 3d; a week, or half the past if that is less.

    Raises:
        ParameterInvalid: it is neither, or a duration for times that are integers.
    """
    import polars as pl

    from analytics import load
    from analytics.frames import polars
    from analytics.prom.times import duration_ms

    if asked is not None and asked.isdecimal() and int(asked) > 0:
        return int(asked)
    found = duration_ms(asked or f"{WEEK_DAYS}d")
    times = polars(frame)[0]
    if not found or time_col not in times.columns or not times.schema[time_col].is_temporal():
        if asked is None:
            return PLAIN  # integers have no week
        raise ParameterInvalid("horizon", f"expected steps, or a duration such as 7d of datetimes, got {asked!r}")
    return load.horizon(times.select(pl.col(time_col).alias("ds")), found / DAY_MS)


def _framed(name: str, held: Any) -> Frame:
    if hasattr(held, "to_frame") and not hasattr(held, "columns"):
        raise ParameterInvalid(name, "is a single column; a frame of ds and y is needed")
    if not hasattr(held, "columns"):
        raise ParameterInvalid(name, f"is no frame but a {type(held).__name__}; polars and pandas frames are taken")
    frame: Frame = held
    return frame
