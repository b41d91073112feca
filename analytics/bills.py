"""What was metered beside what the provider billed, by day: the gap, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

NEEDED = ("provider", "day", "side", "cost_usd")
ALIKE = 0.01  # of the bill, or a cent: a smaller gap is none, as in `gaugebook reconcile`
WORTH = 0.02  # of the bill, from which on a gap is worth a look


@dataclass(frozen=True, repr=False)
class Bills(Tabled):
    """Metered against billed.

    `table` has one row per provider, the largest gap first: `provider`, `days` that were metered, `billed_days` (of
    them with a cost report), `metered_usd` and `billed_usd` over those days, `gap_usd` (billed less metered: positive
    where more is billed) and `gap_pct` (of the bill). What is metered on days without a report is in `unchecked_usd`.
    `daily` has provider, day, metered_usd and billed_usd (null: no report).
    """

    table: pl.DataFrame
    daily: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The gap of each provider that has reported, and how much has not been checked."""
        told = self.table.filter(pl.col("billed_days") > 0)
        left = float(self.table["unchecked_usd"].sum())
        if told.is_empty():
            return (
                f"No provider's bill has been imported for these days, so {words.usd(left)} that were metered are "
                "unchecked; `gaugebook import billing` reads them."
            )
        parts = [_gap(row) for row in told.iter_rows(named=True)]
        rest = f" {words.usd(left)} were metered on days without a report." if left > 0 else ""
        return f"{'; '.join(parts)}.{rest}"

    def plot(self) -> Figure | None:
        """Metered and billed by day; None where nothing was billed."""
        from analytics.charts import lines

        billed = self.daily.filter(pl.col("billed_usd").is_not_null().any().over("provider"))
        if billed["day"].n_unique() < 2:
            return None
        sides = billed.unpivot(["metered_usd", "billed_usd"], index=["provider", "day"], value_name="y")
        name = pl.concat_str("provider", pl.col("variable").str.strip_suffix("_usd"), separator=" ")
        long = sides.drop_nulls("y").select(name.alias("unique_id"), pl.col("day").alias("ds"), "y")
        return lines(long, unit="USD", title="Metered and billed, by day")

    def report(self) -> tuple[str, Figure | None, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.table

    def advice(self) -> list[str]:
        """To import a bill that is missing, and to look for the cause of a gap."""
        said = []
        for row in self.table.iter_rows(named=True):
            if not row["billed_days"]:
                said.append(f"Import the bill of {row['provider']} with `gaugebook import billing {row['provider']}`.")
            elif abs(row["gap_usd"]) > max(WORTH * abs(row["billed_usd"]), ALIKE):
                much = words.usd(abs(row["gap_usd"]))
                said.append(
                    f"Find the cause of {much} between the bill of {row['provider']} and what was metered: "
                    f"`gaugebook reconcile --provider {row['provider']}` names the likely one of each line."
                )
        return said


def bills(frame: Frame) -> Bills:
    """Add up what was metered and what was billed, over the days that a provider has reported.

    The causes of single gaps, by model and line item, are told by `gaugebook reconcile`.

    Args:
        frame: rows as `records.bills` gives them: provider, day (UTC), side (metered, usage or billed), cost_usd.

    Raises:
        TooShort: nothing was metered and nothing billed.
        ColumnMissing: a column is not there.

    >>> sides = ["metered", "metered", "billed"]
    >>> rows = {"provider": "openai", "day": [1, 1, 1], "side": sides, "cost_usd": [4.0, 5.0, 10.0]}
    >>> bills(pl.DataFrame(rows)).sentence()
    'openai billed $10.00 and $9.00 were metered: $1.00 more is billed (10 %).'
    """
    data, kind = polars(frame)
    for name in NEEDED:
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    money = pl.col("cost_usd").cast(pl.Float64).fill_null(0.0)
    sides = data.filter(pl.col("side").is_in(["metered", "billed"]))
    if sides.is_empty():
        raise TooShort("what was metered", "no call of OpenAI or Anthropic, whose bills can be read, is in it")
    sums = sides.group_by("provider", "day").agg(
        money.filter(pl.col("side") == "metered").sum().alias("metered_usd"),
        pl.when((pl.col("side") == "billed").any())
        .then(money.filter(pl.col("side") == "billed").sum())
        .alias("billed_usd"),
    )
    reported = pl.col("billed_usd").is_not_null()
    gap = pl.col("billed_usd") - pl.col("metered_usd")
    table = sums.group_by("provider").agg(
        pl.len().alias("days"),
        reported.sum().alias("billed_days"),
        pl.col("metered_usd").filter(reported).sum(),
        pl.col("billed_usd").sum(),
        gap.filter(reported).sum().alias("gap_usd"),
        pl.col("metered_usd").filter(~reported).sum().alias("unchecked_usd"),
    )
    percent = pl.when(pl.col("billed_usd") != 0).then(100 * pl.col("gap_usd") / pl.col("billed_usd"))
    table = table.with_columns(percent.alias("gap_pct")).select(
        "provider", "days", "billed_days", "metered_usd", "billed_usd", "gap_usd", "gap_pct", "unchecked_usd"
    )
    order = pl.col("gap_usd").abs()
    ranked = table.sort(order, "unchecked_usd", "provider", descending=[True, True, False])
    return Bills(ranked, sums.sort("provider", "day"), kind)


def _gap(row: dict[str, object]) -> str:
    billed, metered, gap = (float(str(row[name])) for name in ("billed_usd", "metered_usd", "gap_usd"))
    said = f"{row['provider']} billed {words.usd(billed)} and {words.usd(metered)} were metered"
    if abs(gap) <= max(ALIKE * abs(billed), ALIKE):
        return f"{said}: they agree"
    side = "more" if gap > 0 else "less"
    percent = f" ({words.share(abs(gap) / abs(billed))})" if billed else ""
    return f"{said}: {words.usd(abs(gap))} {side} is billed{percent}"
