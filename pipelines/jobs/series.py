"""The series that write-back jobs look at: the largest, what the others add up to, and the whole."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from analytics.spans import Grain
from pipelines.jobs.keep import Asked
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    import polars as pl

TOTAL, OTHER = "total", "other"
SOURCES = {"llm": "llm_requests", "usage": "llm_usage", "queues": "rabbitmq_queues"}

Source = Annotated[Literal["llm", "usage", "queues"], "single requests, reported usage, or RabbitMQ queues"]
Value = Annotated[str, "what is looked at: cost_usd, requests, output_tokens, ...; messages for queues"]
By = Annotated[str, "dimensions with commas between them: team, project, provider, model; vhost, queue"]
GrainOf = Annotated[Literal["hourly", "daily"], "width of a bucket"]
Days = Annotated[int, "days of the past that are looked at (1 to 4000)"]
Top = Annotated[int, "the largest series, which are told one by one (1 to 5000)"]
KeepDays = Annotated[int, "days that its rows are kept (1 to 36500)"]


def dimensions(by: str) -> tuple[str, ...]:
    """The names in a text with commas between them.

    >>> dimensions("team, model")
    ('team', 'model')
    """
    return tuple(name.strip() for name in by.split(",") if name.strip())


def series(
    asked: Asked, source: str, value: str, by: str, grain: Grain, days: int, top: int, *, rest: bool
) -> pl.DataFrame:
    """`unique_id, ds, y` up to the slot, empty where the store has nothing.

    Beside the `top` largest series there are "total", the sum of all, and with `rest` "other", the sum of those that
    are not among them; of queues neither, whose depths nobody adds up. A series that bears one of these names is told
    of in their place.
    """
    import polars as pl

    from analytics import load

    reader = {"llm": load.llm, "usage": load.usage, "queues": load.queues}[source]
    dims = dimensions(by)
    frame = reader(
        asked.settings, value=value, by=dims, grain=grain, since=asked.slot - timedelta(days=days), until=asked.slot
    )
    assert isinstance(frame, pl.DataFrame)
    frame = frame.select("unique_id", "ds", "y")
    if not dims or frame.is_empty():
        return frame
    size = pl.col("y").abs().sum().alias("size")
    ranked = frame.group_by("unique_id").agg(size).sort("size", "unique_id", descending=[True, False])
    names = set(ranked["unique_id"].head(top))
    own = frame.filter(pl.col("unique_id").is_in(list(names)))
    if source == "queues":
        return own
    parts = [own]
    for name, rows in ((OTHER, _others(frame, names) if rest else frame.clear()), (TOTAL, frame)):
        if name not in names and len(rows):
            parts.append(_sum(rows, name))
    return pl.concat(parts).sort("unique_id", "ds")


def target(grain: str, value: str) -> str:
    """What is looked at, as the tables name it."""
    return f"{grain} {value}"


def checked(source: str, value: str) -> None:
    """Refuse a value that a source does not have.

    Raises:
        ParameterInvalid: names the values that there are.
    """
    from analytics.load import QUEUE_VALUES, VALUES

    known: Iterable[str] = QUEUE_VALUES if source == "queues" else VALUES[SOURCES[source]]
    if value not in known:
        raise ParameterInvalid("value", f"source {source!r} has no {value!r}; it has {', '.join(known)}")


def _others(frame: pl.DataFrame, names: set[str]) -> pl.DataFrame:
    import polars as pl

    return frame.filter(~pl.col("unique_id").is_in(list(names)))


def _sum(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    import polars as pl

    return rows.group_by("ds").agg(pl.col("y").sum()).select(pl.lit(name).alias("unique_id"), "ds", "y")
