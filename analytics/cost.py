"""What was spent, on what, and how it compares with the span before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.caching import CacheSavings, cache_savings
from analytics.cheaper import Cheaper, cheaper
from analytics.drivers import CostDrivers, drivers
from analytics.explained import Explained, Grounds
from analytics.frames import Kind, polars
from analytics.landing import Landing, landing
from analytics.paid import rates_paid
from analytics.repricing import WhatIf, what_if
from analytics.spans import When
from analytics.spend import COUNTS, INTEGER, Columns, bounds, spend
from analytics.tabled import Tabled
from analytics.unit_costs import UnitCosts, unit_costs
from analytics.wide import series
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

__all__ = [
    "CacheSavings",
    "Cheaper",
    "CostBreakdown",
    "CostDrivers",
    "Landing",
    "UnitCosts",
    "WhatIf",
    "breakdown",
    "cache_savings",
    "cheaper",
    "drivers",
    "landing",
    "measure",
    "rates_paid",
    "series",
    "unit_costs",
    "what_if",
]

NANO = 1_000_000_000  # costs are added up in whole billionths of a dollar, so that every breakdown has the same total


@dataclass(frozen=True, repr=False)
class CostBreakdown(Explained, Tabled):
    """Spend by one or more dimensions, dearest first.

    `table` has the dimensions, `cost_usd`, `share` (of the total, 0 to 1), requests, errors, tokens by kind,
    `unpriced` (requests whose price is not known: they are in no cost), `usd_per_1k_requests` (of those with a price),
    `previous_usd`, `delta_usd` and `delta_pct` (per cent) against the span of equal length before, null where the frame
    reaches not so far back. `total_usd` and `previous_usd` are the totals, `since` and `until` the span, half-open.
    """

    table: pl.DataFrame
    by: tuple[str, ...]
    since: datetime
    until: datetime
    total_usd: float
    previous_usd: float | None
    requests: int
    unpriced: int
    kind: Kind = "polars"

    @property
    def priced(self) -> bool:
        """Whether any request has a price."""
        return self.requests > self.unpriced

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the columns for people."""
        return self.sentence(), self.plot(), self.for_people()

    def sentence(self) -> str:
        """The headline: how much, how it changed, who spent most, what is not in it."""
        span = f"From {words.moment(self.since)} to {words.moment(self.until)}"
        if not self.priced:
            return f"{span} there were {words.amount(self.requests)} requests; none of them has a known price."
        compared = "with no time before to compare"
        if self.previous_usd:
            compared = f"{words.change(self.total_usd / self.previous_usd - 1)} on the same time before"
        first = self.table.row(0, named=True)
        name = "/".join(str(first[dim]) for dim in self.by)
        most = f"{'/'.join(self.by)} {name} ({words.usd(first['cost_usd'])}, {words.share(first['share'])})"
        text = f"{span} LLM calls cost {words.usd(self.total_usd)}, {compared}; most went to {most}."
        if self.unpriced:
            count = f"{words.amount(self.unpriced)} of {words.amount(self.requests)}"
            text += f" {count} requests have no known price and are in no sum."
        return text

    def grounds(self) -> Grounds:
        """The requests, how many of them are in the sum, and where to look next."""
        span = f"{words.moment(self.since)} to {words.moment(self.until)}"
        share = words.share((self.requests - self.unpriced) / self.requests if self.requests else None)
        return Grounds(
            f"From {words.amount(self.requests)} requests of {span}, each at the price of its time.",
            f"It is a sum, no estimate; {share} of the requests have a known price and are in it.",
            "`cost.drivers` says why it changed, `cost.what_if` what a cheaper model would save."
            if self.priced
            else "Name the prices of these models in a price file; `gaugebook prices` shows which are missing.",
        )

    def picture(self) -> str:
        """The dearest rows; requests where nothing has a price."""
        from analytics.pictures import bars

        names = ["/".join(str(part) for part in row) for row in self.table.select(self.by).iter_rows()]
        values = self.table["cost_usd" if self.priced else "requests"].to_list()
        return bars(names, values, [words.amount(one, "USD" if self.priced else "") for one in values], self.sentence())

    def plot(self, *, most: int = 12) -> Figure:
        """Bars of the `most` expensive rows."""
        from analytics.charts import bars

        return bars(self, most=most)

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        shown = list(self.by)
        if self.priced:
            shown += ["cost_usd", "share"]
            shown += ["delta_usd", "delta_pct"] if self.previous_usd is not None else []
            shown += ["usd_per_1k_requests"]
        shown += ["requests", *(["errors"] if self.table["errors"].sum() else []), "tokens"]
        if self.unpriced:
            shown.append("unpriced")
        tokens = (pl.col("input_tokens") + pl.col("output_tokens")).alias("tokens")
        return self.table.with_columns(tokens).select(shown)


def breakdown(
    frame: Frame,
    by: str | Sequence[str] = "team",
    *,
    since: When = None,
    until: When = None,
    time_col: str = "bucket",
    cost_col: str = "total_cost",
    requests_col: str = "requests",
) -> CostBreakdown:
    """Break spend down by dimensions, beside the span of equal length before it.

    Args:
        frame: wide rows as `load.metrics` gives them: bucket, the dimensions, requests, total_cost, tokens. Columns of
            counts may be absent. To compare, it must reach back twice the span.
        by: one or several of the frame's columns.
        since: start; an aware datetime, an ISO text with a zone or a timedelta before the last bucket's end. Default:
            the start of the frame, with nothing to compare.
        until: end, not included; likewise. Default: the end of the frame.
        time_col: name of the column of times.
        cost_col: name of the column of costs.
        requests_col: name of the column of requests.

    Raises:
        NoRows: nothing in the span.
        ColumnMissing: a column is not there.
        ParameterInvalid: a time, cost or count cannot be used.

    >>> hours = pl.datetime_range(datetime(2026, 1, 1), datetime(2026, 1, 1, 3), "1h", time_zone="UTC", eager=True)
    >>> rows = pl.DataFrame({"bucket": hours, "team": list("aaba"), "requests": 10, "total_cost": [1.0, 2, 3, 3]})
    >>> spend = breakdown(rows, since="2026-01-01T02:00Z")
    >>> spend.total_usd, spend.previous_usd, spend.table["delta_usd"].to_list()
    (6.0, 3.0, [0.0, 3.0])
    """
    data, dims, kind = spend(frame, by, Columns(time_col, cost_col, requests_col))
    begin, stop, reach = bounds(data, since, until)
    data = data.with_columns((pl.col("total_cost").fill_null(0) * NANO).round().cast(INTEGER).alias("nano"))
    now = data.filter((pl.col("bucket") >= begin) & (pl.col("bucket") < stop))
    if now.is_empty():
        raise NoRows(f"the span {words.moment(begin)} to {words.moment(stop)}")
    before = data.filter((pl.col("bucket") >= begin - (stop - begin)) & (pl.col("bucket") < begin))
    sums = [pl.col("nano").sum(), *(pl.col(name).sum().cast(pl.Int64) for name in COUNTS)]
    here = now.group_by(*dims).agg(sums)
    past = before.group_by(*dims).agg(pl.col("nano").sum().alias("nano_before"))
    # A team that is gone still explains a fall of the total.
    joined = here.join(past, on=list(dims), how="full", coalesce=True, nulls_equal=True)
    joined = joined.with_columns(pl.col("nano", "nano_before", *COUNTS).fill_null(0))
    total = int(joined["nano"].sum())
    previous = int(joined["nano_before"].sum()) if reach else None
    known = pl.lit(reach)
    priced = pl.col("requests") - pl.col("unpriced")
    growth = pl.col("nano") / pl.col("nano_before")
    table = joined.sort("nano", "requests", *dims, descending=[True, True] + [False] * len(dims)).select(
        *dims,
        (pl.col("nano") / NANO).alias("cost_usd"),
        (pl.col("nano") / total if total else pl.lit(None, pl.Float64)).alias("share"),
        *COUNTS,
        pl.when(priced > 0).then(pl.col("nano") / NANO * 1000 / priced).alias("usd_per_1k_requests"),
        pl.when(known).then(pl.col("nano_before") / NANO).alias("previous_usd"),
        pl.when(known).then((pl.col("nano") - pl.col("nano_before")) / NANO).alias("delta_usd"),
        pl.when(known & (pl.col("nano_before") > 0)).then(100 * (growth - 1)).alias("delta_pct"),
    )
    requests, unpriced = int(table["requests"].sum()), int(table["unpriced"].sum())
    before_usd = None if previous is None else previous / NANO
    return CostBreakdown(table, dims, begin, stop, total / NANO, before_usd, requests, unpriced, kind)


def measure(frame: Frame) -> tuple[str, str]:
    """What is worth a chart and its unit: cost where anything has a price, else requests.

    >>> measure(pl.DataFrame({"total_cost": [None, None]}, schema={"total_cost": pl.Float64}))
    ('requests', 'requests')
    """
    data, _ = polars(frame)
    if "total_cost" not in data.columns:
        raise ColumnMissing("total_cost", data.columns)
    return ("cost_usd", "USD") if (data["total_cost"].fill_null(0) > 0).any() else ("requests", "requests")
