"""What the same requests would have cost on the next cheaper model that is in use."""

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

LEAST = 0.2  # of the cost, that a move has to save
WORTH = 0.02  # of all spend, that it has to save to be advised
CAVEAT = (
    "Prices alone: tokens are taken as they were, and whether a cheaper model is good enough is for a trial to tell."
)


@dataclass(frozen=True, repr=False)
class Cheaper(Tabled):
    """Moves to cheaper models, the largest saving first.

    `table` has one row per model that has a cheaper one: `model`, `to` (the dearest of those that would save a fifth or
    more: the smallest step down), requests, `cost_usd`, `would_cost_usd`, `delta_usd` and `delta_pct` (per cent).
    `all_moves` has a row for each model and each cheaper one. `by` and `change` name the chart.
    """

    table: pl.DataFrame
    all_moves: pl.DataFrame
    spent_usd: float
    change: str = "One step down: what the same requests would have cost"
    by: tuple[str, ...] = ("move",)
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The move that would save most."""
        if self.table.is_empty():
            return "No model in use would have done the work of another for a fifth less."
        row = self.table.row(0, named=True)
        would, was = words.usd(row["would_cost_usd"]), words.usd(row["cost_usd"])
        return (
            f"The requests of {row['model']} would have cost {would} instead of {was} on {row['to']} "
            f"({words.change(row['delta_pct'] / 100)})."
        )

    def plot(self) -> Figure | None:
        """Spend as it was and on the next cheaper model."""
        from analytics.charts import compared

        return compared(self) if len(self.table) else None  # type: ignore[arg-type]  # it has what that asks for

    def for_people(self) -> pl.DataFrame | None:
        """The columns that a report shows."""
        return self.table.drop("move") if len(self.table) else None

    def report(self) -> tuple[str, Figure | None, pl.DataFrame | None, str]:
        """What a report shows: a sentence, the chart, the table, what it does not know."""
        return self.sentence(), self.plot(), self.for_people(), CAVEAT

    def advice(self) -> list[str]:
        """To try the move that saves most, where it is worth it."""
        worth = self.table.filter(-pl.col("delta_usd") >= WORTH * self.spent_usd).head(1)
        return [
            f"Try {row['to']} on a sample of what {row['model']} does: it would save {words.usd(-row['delta_usd'])} "
            "in a span like this one."
            for row in worth.iter_rows(named=True)
        ]

    def how(self) -> str:
        """What no price tells."""
        return CAVEAT


def cheaper(frame: Frame, prices: Frame) -> Cheaper:
    """Work out what the requests of each model would have cost on every cheaper one.

    Args:
        frame: wide rows as `load.metrics` gives them: model, requests, input_tokens, cached_tokens, output_tokens,
            total_cost.
        prices: rates as `cost.rates_paid` works them out, or any price list that `cost.what_if` takes; its models are
            targets even if the frame does not have them. Cached tokens are taken at the target's cached rate.

    Raises:
        NoRows: nothing in the frame or in `prices`.
        ColumnMissing, ParameterInvalid: as `cost.what_if` does.

    >>> tokens = {"requests": 10, "input_tokens": 1_000_000, "cached_tokens": 0, "output_tokens": 100_000}
    >>> rows = pl.DataFrame([{"model": "big", "total_cost": 5.0, **tokens}])
    >>> rates = {"input_usd_per_m": [4.0, 1.0], "output_usd_per_m": [10.0, 4.0]}
    >>> prices = pl.DataFrame({"model": ["big", "small"], **rates})
    >>> cheaper(rows, prices).sentence()
    'The requests of big would have cost $1.40 instead of $5.00 on small (down 72 %).'
    """
    data, _, kind = spend(frame, "model", Columns(), timed=False)
    cached = pl.min_horizontal("input_tokens", "cached_tokens")
    used = data.group_by("model").agg(
        pl.col("requests").sum(),
        (pl.col("input_tokens") - cached).sum().alias("fresh"),
        cached.sum().alias("cached"),
        pl.col("output_tokens").sum(),
        pl.col("total_cost").sum().alias("cost_usd"),
    )
    spent = float(used["cost_usd"].sum())
    targets = rates(prices).rename({"model": "to"})
    would = (
        pl.col("fresh") * pl.col("input_usd_per_m")
        + pl.col("cached") * pl.col("cached_usd_per_m")
        + pl.col("output_tokens") * pl.col("output_usd_per_m")
    ) / 1e6
    moves = (
        used.filter(pl.col("cost_usd") > 0)
        .join(targets, how="cross")
        .filter(pl.col("model") != pl.col("to"))
        .with_columns(would.alias("would_cost_usd"))
        .with_columns((pl.col("would_cost_usd") - pl.col("cost_usd")).alias("delta_usd"))
        .with_columns((100 * pl.col("delta_usd") / pl.col("cost_usd")).alias("delta_pct"))
        .filter(pl.col("delta_pct") <= -100 * LEAST)
        .select("model", "to", "requests", "cost_usd", "would_cost_usd", "delta_usd", "delta_pct")
        .sort("delta_usd", "model", "to")
    )
    nearest = (
        moves.sort("would_cost_usd", "to", descending=[True, False]).group_by("model", maintain_order=True).first()
    )
    arrow = pl.concat_str("model", "to", separator=" → ").alias("move")
    return Cheaper(nearest.sort("delta_usd", "model").with_columns(arrow), moves, spent, kind=kind)
