"""How complete data is: requests without a price or usage, buckets without rows; for long frames, faulty series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import series_quality, words
from analytics.bills import Bills, bills
from analytics.explained import Explained, Grounds
from analytics.frames import Kind, polars
from analytics.freshness import Freshness, freshness
from analytics.gaps import Gaps, gaps
from analytics.series_quality import SeriesQuality
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

__all__ = ["Bills", "Freshness", "Gaps", "Quality", "SeriesQuality", "bills", "check", "freshness", "gaps"]

REQUESTS = ("bucket", "model", "requests", "errors", "total_cost", "unpriced", "unmetered")


@dataclass(frozen=True, repr=False)
class Quality(Explained, Tabled):
    """What is missing. `table` has one row per model with requests, errors, unpriced and unmetered."""

    table: pl.DataFrame
    buckets: int
    silent: int
    kind: Kind = "polars"

    @property
    def requests(self) -> int:
        """All requests."""
        return int(self.table["requests"].sum())

    @property
    def unpriced(self) -> int:
        """Requests that went well and have no price: they are in no cost."""
        return int(self.table["unpriced"].sum())

    @property
    def unmetered(self) -> int:
        """Requests that went well and have no token counts."""
        return int(self.table["unmetered"].sum())

    def sentence(self) -> str:
        """The gaps in one or two sentences."""
        every = words.amount(self.requests)
        lacks = [
            f"{words.amount(count)} of {every} requests ({words.share(count / self.requests)}) have no {what}"
            for count, what in ((self.unpriced, "known price and are in no cost"), (self.unmetered, "token counts"))
            if count
        ]
        said = "; ".join(lacks) if lacks else f"All {every} requests have a price and token counts"
        silent = f" {self.silent} of {self.buckets} buckets have no request at all." if self.silent else ""
        return f"{said}.{silent}"

    def advice(self) -> list[str]:
        """To price what has no price, and to ask for the usage that is missing."""
        said = []
        if self.unpriced:
            count = words.amount(self.unpriced)
            said.append(f"Give the models of {count} requests a price: `gaugebook prices missing` lists them.")
        if self.unmetered:
            said.append(f"Ask for usage in the {words.amount(self.unmetered)} requests that came without token counts.")
        return said

    def grounds(self) -> Grounds:
        """The buckets, what cannot be seen, and how to close the gaps."""
        todo = []
        if self.unpriced:
            todo.append("name the missing prices in a price file")
        if self.unmetered:
            todo.append("let providers report usage in streams (`stream_options`)")
        if self.silent:
            todo.append("ask `gaugebook doctor` about the silent buckets")
        advice, models = " and ".join(todo), words.plural("model", len(self.table))
        return Grounds(
            f"From {words.amount(self.requests)} requests of {len(self.table)} {models} in {self.buckets} buckets.",
            "What never reached the store is not seen here; a bill would show it.",
            f"{advice[:1].upper()}{advice[1:]}." if advice else "Nothing.",
        )

    def plot(self) -> Figure:
        """Requests without a price and without token counts, by model."""
        from analytics.charts.states import stacked

        counts = {name: self.table[name].to_list() for name in ("unpriced", "unmetered")}
        return stacked(self.table["model"].to_list(), counts, "What is missing", self.sentence(), axis="requests")

    def picture(self) -> str:
        """Requests by model, with what they lack."""
        from analytics.pictures import bars

        names, lacks = self.table["model"].to_list(), self.table.select("requests", "unpriced", "unmetered").rows()
        told = [f"{words.amount(n)}; {words.amount(a + b)} lack" if a + b else words.amount(n) for n, a, b in lacks]
        return bars(names, [n for n, _, _ in lacks], told, self.sentence())

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.table


def check(
    frame: Frame, *, id_col: str = "unique_id", time_col: str = "ds", target_col: str = "y"
) -> Quality | SeriesQuality:
    """Say what is missing in wide LLM rows, or what is wrong with the series of a long frame.

    Args:
        frame: wide rows as `load.metrics` gives them: bucket, model, requests, errors, total_cost, unpriced, unmetered;
            or any long frame of series, polars or pandas. A frame that has the columns of a long one is one.
        id_col: name of the column of series of a long frame.
        time_col: name of its column of times.
        target_col: name of its column of values.

    Returns:
        Quality for wide rows, SeriesQuality for a long frame.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        ParameterInvalid: values that are no numbers, times that are neither times nor integers.

    >>> rows = pl.DataFrame({"bucket": [1, 3], "model": "m", "requests": 4, "errors": 0, "total_cost": [1.0, None],
    ...                      "unpriced": [0, 4], "unmetered": 0})
    >>> check(rows).sentence()
    '4 of 8 requests (50 %) have no known price and are in no cost.'
    >>> check(pl.DataFrame({"ds": [1, 2, 2, 5], "y": [1.0, None, 3.0, 4.0]})).sentence()
    '1 series, 4 rows: unknown values 1 (in 1 series); missing rows 2 (in 1 series); duplicate rows 1 (in 1 series).'
    """
    data, kind = polars(frame)
    long = {time_col, target_col} <= set(data.columns)
    if long or len(set(REQUESTS) & set(data.columns)) < 2:
        return series_quality.check(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    for name in REQUESTS:
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty() or not data["requests"].sum():
        raise NoRows("the LLM frame")
    buckets = data["bucket"].unique().sort()
    busy = data.filter(pl.col("requests") > 0)["bucket"].n_unique()
    gaps = buckets.diff().drop_nulls()
    whole = int((buckets[-1] - buckets[0]) / gaps.min()) + 1 if len(gaps) else 1
    counts = ("requests", "errors", "unpriced", "unmetered")
    table = data.group_by("model").agg(
        pl.col(*counts).sum().cast(pl.Int64), pl.col("total_cost").sum().cast(pl.Float64).alias("cost_usd")
    )
    return Quality(table.sort("requests", "model", descending=[True, False]), whole, whole - busy, kind)
