"""A service level objective: how many requests were good, and how much of the error budget is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, ParameterInvalid, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

NEEDED = ("ds", "requests", "errors", "measured", "within")


@dataclass(frozen=True, repr=False)
class Attainment(Tabled):
    """How an objective was met.

    A request is good if it did not fail and its first token came within the bound; those that did not fail and told no
    time to first token count neither way. `table` has one row per model, the one furthest below its objective first:
    the dimension, requests, errors, `slow`, `bad_share` (0 to 1) and `budget_used`: bad requests in parts of those
    that the objective allows (1: all). `days` has `ds` (UTC day) and `good_share` of all together.
    """

    table: pl.DataFrame
    days: pl.DataFrame
    bound_s: float
    target: float
    good_share: float
    budget_used: float
    kind: Kind = "polars"

    def sentence(self) -> str:
        """Whether the objective was met, and by what it was missed."""
        bound, target = words.seconds(self.bound_s), words.share(self.target)
        said = f"{_share(self.good_share)} of requests had their first token within {bound} and did not fail"
        verdict = "met" if self.good_share >= self.target else "missed"
        used = words.share(self.budget_used)
        text = f"{said}: the objective of {target} is {verdict}, with {used} of what may fail used."
        first = self.table.row(0, named=True)
        if first["bad_share"] > 1 - self.target and len(self.table) > 1:
            text += f" Furthest from it is {first['model']} with {_share(1 - first['bad_share'])}."
        return text

    def plot(self) -> Figure:
        """Good requests by day against the objective."""
        from analytics.charts.seasons import attained

        return attained(self)

    def for_people(self) -> pl.DataFrame:
        """The table."""
        return self.table

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.table

    def advice(self) -> list[str]:
        """Whether slowness or failures have to go, where the objective is missed."""
        if self.good_share >= self.target:
            return []
        slow, errors = int(self.table["slow"].sum()), int(self.table["errors"].sum())
        first = self.table.row(0, named=True)["model"]
        counts = f"{words.amount(slow)} slow first tokens, {words.amount(errors)} failures"
        if slow >= errors:
            return [
                f"Make {first} faster (shorter prompts, a prompt cache, another region) or move its bound: {counts}."
            ]
        return [f"Retry, or fall back on another model, where {first} fails: {counts}."]


def slo(frame: Frame, bound_s: float, target: float = 0.95) -> Attainment:
    """Say how an objective for the first token was met.

    Args:
        frame: hours as `records.within` gives them by model: ds (UTC), model, requests, errors, measured, within.
        bound_s: the bound that `within` was counted with, in seconds.
        target: share of requests that are to be good, between 0 and 1.

    Raises:
        TooShort: no request failed or told its time to first token.
        ColumnMissing: a column is not there.
        ParameterInvalid: the target is not between 0 and 1.

    Source:
        Google, *Site Reliability Engineering*, 2016, chapters 3 and 4 (error budgets).

    >>> from datetime import datetime
    >>> hours = pl.DataFrame({"ds": [datetime(2026, 3, 2)], "model": "m", "requests": 100, "errors": 2, "measured": 98,
    ...     "within": [90.0]})
    >>> made = slo(hours, 1.0, 0.8)
    >>> made.good_share, round(made.budget_used, 3)
    (0.9, 0.5)
    """
    if not 0 < target < 1:
        raise ParameterInvalid("target", f"expected a share between 0 and 1, such as 0.95, got {target!r}")
    data, kind = polars(frame)
    for name in (*NEEDED, "model"):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    counted = pl.col("measured") + pl.col("errors")
    data = data.filter(counted > 0)
    if data.is_empty():
        raise TooShort("the span", "no request in it failed or told when its first token came")
    bad = 1 - pl.col("within") / pl.col("counted")
    sums = [counted.sum().alias("counted"), pl.col("requests", "errors", "measured", "within").sum()]
    table = data.group_by("model").agg(sums).select(
        "model", "requests", "errors", (pl.col("measured") - pl.col("within")).round().cast(pl.Int64).alias("slow"),
        bad.alias("bad_share"), (bad / (1 - target)).alias("budget_used"),
    )  # fmt: skip
    days = data.group_by(pl.col("ds").dt.truncate("1d")).agg(sums).sort("ds")
    share = float(data["within"].sum()) / float(data.select(counted.sum()).item())
    days = days.select("ds", (pl.col("within") / pl.col("counted")).alias("good_share"))
    used = (1 - share) / (1 - target)
    return Attainment(
        table.sort("bad_share", "model", descending=[True, False]),
        days,
        float(bound_s),
        float(target),
        share,
        used,
        kind,
    )


def _share(value: float) -> str:
    """A share near one, with the digits that count.

    >>> _share(0.9), _share(0.99871)
    ('90 %', '99.87 %')
    """
    return words.share(value) if value < 0.99 else f"{100 * value:.2f} %"
