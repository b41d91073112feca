"""What the providers' prompt caches saved, and what more of it would save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind
from analytics.repricing import rates
from analytics.spend import Columns, spend
from analytics.tabled import Tabled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

MORE = 0.1  # of input tokens, that a further cached share is reckoned with
LOW = 0.2  # cached share below which a model with long inputs is worth a look
LONG = 1000  # input tokens a request from which a cache is worth it: providers' caches begin at 1,024
WORTH = 0.01  # of spend, below which a saving is not worth a word


@dataclass(frozen=True, repr=False)
class CacheSavings(Tabled):
    """What caches saved by model, the largest saving first.

    `table` has model, requests, `input_tokens`, `cached_share` (0 to 1), `cost_usd`, `saved_usd` (against the same
    tokens at the rate of fresh input) and `more_usd`: what a tenth of the input more from the cache would save. Both
    are null where no cached token has had a price yet. What writing a cache costs is not in it.
    """

    table: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The share that came from caches, what it saved, and where more would."""
        asked, cached = float(self.table["input_tokens"].sum()), float(self.table["cached"].sum())
        if not asked:
            return "No input tokens were metered."
        said = f"{words.share(cached / asked)} of input tokens came from a cache"
        saved = float(self.table["saved_usd"].sum())
        if saved > 0:
            said += f", which saved {words.usd(saved)}"
        best = self.table.drop_nulls("more_usd").sort("more_usd", descending=True).head(1)
        for row in best.filter(pl.col("more_usd") > 0).iter_rows(named=True):
            said += f"; ten points more on {row['model']} would save {words.usd(row['more_usd'])} more"
        return f"{said}."

    def plot(self, *, most: int = 12) -> Figure | None:
        """The share of each model's input tokens that came from a cache."""
        from analytics.charts.ranked import ranked

        rows = self.table.filter(pl.col("input_tokens") > 0)
        if rows.is_empty():
            return None
        names, shares = rows["model"].to_list(), rows["cached_share"].to_list()
        title = "Input tokens from a cache, by model"
        return ranked(names, shares, title=title, unit="share", alt=self.sentence(), most=most)

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        return self.table.drop("cached")

    def report(self) -> tuple[str, Figure | None, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """To use the cache where inputs are long and hardly any comes from it."""
        spent = float(self.table["cost_usd"].sum())
        long = pl.col("input_tokens") >= LONG * pl.col("requests")
        rows = self.table.filter((pl.col("cached_share") < LOW) & long & (pl.col("cost_usd") > WORTH * spent))
        said = []
        for row in rows.sort("cost_usd", descending=True).head(1).iter_rows(named=True):
            saves = f": ten points more save about {words.usd(row['more_usd'])}" if row["more_usd"] else ""
            said.append(
                f"Put what stays the same first in prompts of {row['model']}: {words.share(row['cached_share'])} of "
                f"its input comes from a cache{saves}."
            )
        return said


def cache_savings(frame: Frame, prices: Frame) -> CacheSavings:
    """Work out what cached input tokens saved, at the rates given.

    Args:
        frame: wide rows as `load.metrics` gives them: model, requests, input_tokens (cached ones included),
            cached_tokens, total_cost.
        prices: rates as `cost.rates_paid` works them out, or any price list that `cost.what_if` takes.

    Raises:
        NoRows: nothing in the frame or in `prices`.
        ColumnMissing, ParameterInvalid: as `cost.what_if` does.

    >>> rows = pl.DataFrame({"model": ["m"], "requests": [1], "input_tokens": [1_000_000], "cached_tokens": [400_000],
    ...     "total_cost": [2.0]})
    >>> prices = pl.DataFrame({"model": ["m"], "input_usd_per_m": [2.0], "cached_usd_per_m": [1.0],
    ...     "output_usd_per_m": [8.0]})
    >>> cache_savings(rows, prices).sentence()
    '40 % of input tokens came from a cache, which saved $0.40; ten points more on m would save $0.10 more.'
    """
    data, _, kind = spend(frame, "model", Columns(), timed=False)
    grouped = data.group_by("model").agg(
        pl.col("requests", "input_tokens").sum(),
        pl.min_horizontal("input_tokens", "cached_tokens").sum().alias("cached"),
        pl.col("total_cost").sum().alias("cost_usd"),
    )
    gain = (pl.col("input_usd_per_m") - pl.col("cached_usd_per_m")).clip(lower_bound=0) / 1e6
    # Where nothing was cached nobody knows at which rate it would have been.
    known = pl.when((pl.col("cached") > 0) & (pl.col("cached_usd_per_m") < pl.col("input_usd_per_m"))).then(gain)
    fresh = pl.col("input_tokens") - pl.col("cached")
    table = grouped.join(rates(prices), on="model", how="left").select(
        "model",
        "requests",
        "input_tokens",
        "cached",
        pl.when(pl.col("input_tokens") > 0).then(pl.col("cached") / pl.col("input_tokens")).alias("cached_share"),
        "cost_usd",
        (pl.col("cached") * known).alias("saved_usd"),
        (pl.min_horizontal(MORE * pl.col("input_tokens"), fresh) * known).alias("more_usd"),
    )
    return CacheSavings(
        table.sort("saved_usd", "cost_usd", "model", descending=[True, True, False], nulls_last=True), kind
    )
