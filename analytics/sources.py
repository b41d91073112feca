"""Where a chunk of series reads its history: from the store, or from a Parquet file that every worker can open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from analytics.load import DIMENSIONS, QUEUE_DIMENSIONS, QUEUE_VALUES, TOTAL, VALUES, _whole_days
from analytics.spans import Grain, When, span
from store.errors import ColumnMissing, FileUnusable, NoRows, UnknownName
from store.read import read
from store.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["llm_requests", "llm_usage", "rabbitmq_queues"]


@dataclass(frozen=True)
class Stored:
    """Series of the store: what `load.llm`, `load.usage` and `load.queues` give, a few names at a time.

    `since` and `until` are fixed ISO times, so that a worker that comes late reads the same buckets. Where the database
    is, every worker knows from its own settings: no password travels with the work.
    """

    source: Kind
    value: str
    by: tuple[str, ...]
    grain: Grain
    since: str
    until: str

    def names(self, settings: Settings | None = None) -> pl.Series:
        """The names of all its series, in the order of their bytes."""
        if not self.by:
            return pl.Series("unique_id", [TOTAL])
        asked = {**self._span(), "source": self.source, "by": list(self.by)}
        return read(settings or load(), "series_names", as_="polars", **asked)["unique_id"]

    def rows(self, names: Sequence[str]) -> pl.DataFrame:
        """`unique_id, ds, y` of these series on a complete grid: no LLM traffic is 0, a queue nobody saw is null."""
        ids = list(names) if self.by else None
        asked = {"source": self.source, "grain": self.grain, "value": self._column(), "by": list(self.by), "ids": ids}
        found = read(load(), "series_some", as_="polars", **self._span(), **asked)
        if not self.by:
            found = found.with_columns(pl.lit(TOTAL).alias("unique_id"))
        since, until = datetime.fromisoformat(self.since), datetime.fromisoformat(self.until)
        width = {"hourly": "1h", "daily": "1d"}[self.grain]
        clock = pl.datetime_range(since, until, width, closed="left", time_zone="UTC", eager=True).alias("ds")
        grid = found.select("unique_id").unique().join(clock.cast(found["ds"].dtype).to_frame(), how="cross")
        y = pl.col("y") if self.source == "rabbitmq_queues" else pl.col("y").fill_null(0.0)
        return grid.join(found, on=["unique_id", "ds"], how="left").with_columns(y).sort("unique_id", "ds")

    def _span(self) -> dict[str, Any]:
        return {"since": datetime.fromisoformat(self.since), "until": datetime.fromisoformat(self.until)}

    def _column(self) -> str:
        return QUEUE_VALUES[self.value] if self.source == "rabbitmq_queues" else self.value


def stored(
    source: str = "llm_requests",
    *,
    value: str | None = None,
    by: Iterable[str] = (),
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    settings: Settings | None = None,
) -> Stored:
    """Series of the store by the words that `load.llm` and `load.queues` take; the span is fixed now.

    Args:
        source: llm_requests, llm_usage or rabbitmq_queues.
        value: what to look at; default cost_usd, requests and messages.
        by: dimensions that make a series, in the order of its name.
        grain: hourly or daily.
        since: start; an aware datetime, an ISO text with a zone, or a timedelta before the end. Default: all there is.
        until: end, not included; likewise. Default: the end of the last bucket that is over.
        settings: None reads them from the environment.

    Raises:
        UnknownName, ColumnMissing: no such source, value or dimension.
        NoRows: the store has nothing there.

    >>> stored("llm_requests", value="costs")
    Traceback (most recent call last):
    store.errors.UnknownName: no value 'costs': did you mean 'cost_usd'?
    """
    known: dict[str, Sequence[str]] = {**VALUES, "rabbitmq_queues": tuple(QUEUE_VALUES)}
    if source not in known:
        raise UnknownName("source", source, known)
    value = value or {"llm_requests": "cost_usd", "llm_usage": "requests"}.get(source, "messages")
    if value not in known[source]:
        raise UnknownName("value", value, known[source])
    dims = tuple(dict.fromkeys([by] if isinstance(by, str) else by))
    for name in dims:
        if name not in (QUEUE_DIMENSIONS if source == "rabbitmq_queues" else DIMENSIONS):
            raise ColumnMissing(name, QUEUE_DIMENSIONS if source == "rabbitmq_queues" else DIMENSIONS)
    where = _whole_days(span(settings, source, grain, since, until))
    if not where.buckets:
        raise NoRows(source)
    return Stored(source, value, dims, grain, where.since.isoformat(), where.until.isoformat())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Filed:
    """Series in a Parquet file, or a folder of them, on a disk that every worker reaches.

    Workers read the row groups that may hold their series: sort the file by series and write groups of about 100,000
    rows, and nothing is read twice.
    """

    path: str
    id_col: str = "unique_id"

    def names(self, _settings: Settings | None = None) -> pl.Series:
        """The names of all its series, sorted."""
        scan = self._scan()
        present = scan.collect_schema().names()
        if self.id_col not in present:
            raise ColumnMissing(self.id_col, present)
        found = scan.select(pl.col(self.id_col).unique()).collect(engine="streaming")[self.id_col].sort()
        if found.is_empty():
            raise NoRows(self.path)
        return found

    def rows(self, names: Sequence[object]) -> pl.DataFrame:
        """All columns of these series."""
        wanted = pl.Series(self.id_col, list(names))
        near = pl.col(self.id_col).is_between(
            pl.lit(wanted.min()), pl.lit(wanted.max())
        )  # row groups know their least and greatest
        return self._scan().filter(near & pl.col(self.id_col).is_in(wanted.implode())).collect()

    def _scan(self) -> pl.LazyFrame:
        path = Path(self.path)
        if not path.exists():
            raise FileUnusable(path, "does not exist here; every worker needs to reach it under this name")
        try:
            scan = pl.scan_parquet(path / "*.parquet" if path.is_dir() else path)
            scan.collect_schema()
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            raise FileUnusable(path, reason) from error
        return scan
