"""Unit costs: what a thousand requests and a million tokens cost, and how that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind
from analytics.spans import When
from analytics.spend import Columns, bounds, spend
from analytics.tabled import Tabled
from store.errors import NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

MOVED_PCT = 10.0  # per cent of change in dollars a token from which it is worth a look


@dataclass(frozen=True, repr=False)
class UnitCosts(Tabled):
    """Unit costs by one or more dimensions, dearest in all first.

    `table` has the dimensions, requests, `tokens_per_request`, `cached_share` (of input tokens, 0 to 1),
    `usd_per_1k_requests`, `usd_per_m_tokens` (of all tokens), and of both the change against the span before in per
    cent (`requests_delta_pct`, `tokens_delta_pct`), null where there is nothing to compare. Requests without a price
    are in no cost, and in none of these.
    """

    table: pl.DataFrame
    by: tuple[str, ...]
    since: datetime
    until: datetime
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The dearest and the cheapest thousand requests, and the unit cost that moved most."""
        known = self.table.drop_nulls("usd_per_1k_requests").sort("usd_per_1k_requests", descending=True)
        if known.is_empty():
            return "No request has a known price, so nothing has a unit cost."
        top, low = known.row(0, named=True), known.row(-1, named=True)
        said = f"A thousand requests cost {words.usd(top['usd_per_1k_requests'])} on {self._name(top)}"
        if len(known) > 1:
            said += f" and {words.usd(low['usd_per_1k_requests'])} on {self._name(low)}"
        moved = self._moved()
        if len(moved):
            row = moved.row(0, named=True)
            said += f"; a million tokens of {self._name(row)} went {words.change(row['tokens_delta_pct'] / 100)}"
        return f"{said}."

    def plot(self, *, most: int = 12) -> Figure:
        """Dollars for a thousand requests, the dearest on top."""
        from analytics.charts.ranked import ranked

        names = [self._name(row) for row in self.table.iter_rows(named=True)]
        values = self.table["usd_per_1k_requests"].to_list()
        title = f"What a thousand requests cost, by {'/'.join(self.by)}"
        return ranked(names, values, title=title, unit="USD", alt=self.sentence(), most=most)

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows: those that compare only where there is something to compare with."""
        empty = [name for name in self.table.columns if name.endswith("_pct") and not self.table[name].count()]
        return self.table.drop(empty)

    def report(self) -> tuple[str, Figure | None, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot() if self.table["usd_per_1k_requests"].count() else None, self.for_people()

    def advice(self) -> list[str]:
        """To ask why a token has become dearer."""
        dearer = self._moved().filter(pl.col("tokens_delta_pct") > 0).head(1)
        return [
            f"Ask why a million tokens of {self._name(row)} cost {words.share(row['tokens_delta_pct'] / 100)} more "
            "than before: another price, fewer tokens from the cache, or longer answers."
            for row in dearer.iter_rows(named=True)
        ]

    def _moved(self) -> pl.DataFrame:
        """Those whose tokens changed their price, the largest change first."""
        size = pl.col("tokens_delta_pct").abs()
        return self.table.filter(size >= MOVED_PCT).sort(size, descending=True)

    def _name(self, row: dict[str, object]) -> str:
        return "/".join(str(row[dim]) for dim in self.by)


def unit_costs(frame: Frame, by: str | Sequence[str] = "model", *, since: When = None, until: When = None) -> UnitCosts:
    """Divide what was spent by requests and by tokens, beside the span of equal length before.

    Args:
        frame: wide rows as `load.metrics` gives them; to compare, it must reach back twice the span.
        by: one or several of the frame's columns.
        since: start, as in `cost.breakdown`.
        until: end, not included; likewise.

    Raises:
        NoRows, ColumnMissing, ParameterInvalid: as `cost.breakdown` does.

    >>> hours = pl.datetime_range(datetime(2026, 1, 1), datetime(2026, 1, 1, 1), "1h", time_zone="UTC", eager=True)
    >>> rows = pl.DataFrame({"bucket": hours, "model": "m", "requests": [10, 20], "total_cost": [1.0, 4.0],
    ...     "input_tokens": [1000, 2000], "output_tokens": [0, 0]})
    >>> unit_costs(rows, since="2026-01-01T01:00Z").table.select("usd_per_1k_requests", "tokens_delta_pct").row(0)
    (200.0, 100.0)
    """
    data, dims, kind = spend(frame, by, Columns())
    begin, stop, reach = bounds(data, since, until)
    early = begin - (stop - begin)
    data = data.filter((pl.col("bucket") >= early) & (pl.col("bucket") < stop))
    sums = {now: _sums(data.filter((pl.col("bucket") >= begin) == now), dims) for now in (True, False)}
    if sums[True].is_empty():
        raise NoRows(f"the span {words.moment(begin)} to {words.moment(stop)}")
    joined = sums[True].join(sums[False], on=list(dims), how="left", suffix="_before", nulls_equal=True)
    changes = [
        (pl.when(reach).then(100 * (pl.col(unit) / pl.col(f"{unit}_before") - 1))).alias(f"{name}_delta_pct")
        for unit, name in (("usd_per_1k_requests", "requests"), ("usd_per_m_tokens", "tokens"))
    ]
    table = joined.with_columns(changes).sort("cost_usd", *dims, descending=[True] + [False] * len(dims)).select(
        *dims, "requests", "tokens_per_request", "cached_share", "usd_per_1k_requests", "requests_delta_pct",
        "usd_per_m_tokens", "tokens_delta_pct",
    )  # fmt: skip
    finite = pl.selectors.float()
    return UnitCosts(table.with_columns(pl.when(finite.is_finite()).then(finite)), dims, begin, stop, kind)


def _sums(data: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    tokens = pl.col("input_tokens") + pl.col("output_tokens")
    priced = pl.col("requests") - pl.col("unpriced")
    # A bucket in which some requests have no price counts for the others in proportion.
    part = pl.when(pl.col("requests") > 0).then(priced / pl.col("requests")).otherwise(0.0)
    grouped = data.group_by(*dims).agg(
        pl.col("requests").sum(),
        priced.sum().alias("priced"),
        pl.col("total_cost").sum().alias("cost_usd"),
        (tokens * part).sum().alias("priced_tokens"),
        tokens.sum().alias("tokens"),
        pl.col("cached_tokens").sum(),
        pl.col("input_tokens").sum(),
    )
    return grouped.with_columns(
        (pl.col("tokens") / pl.col("requests")).alias("tokens_per_request"),
        (pl.col("cached_tokens") / pl.col("input_tokens")).alias("cached_share"),
        pl.when(pl.col("priced") > 0).then(1000 * pl.col("cost_usd") / pl.col("priced")).alias("usd_per_1k_requests"),
        pl.when(pl.col("priced_tokens") > 0)
        .then(1e6 * pl.col("cost_usd") / pl.col("priced_tokens"))
        .alias("usd_per_m_tokens"),
    )
