"""How declared budgets stand: each against the spend that it counts, to the end of its period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.budget import Outlook, outlook
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import NoRows, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

STALE = timedelta(days=1)  # before a period began: what ended earlier tells nothing of it
LIKELY = 0.5
NONE_DECLARED = "No budget is declared; `gaugebook budget set` makes one."


@dataclass(frozen=True, repr=False)
class Standings(Tabled):
    """How budgets stand.

    `table` has one row per budget, the most endangered first: `budget`, `counts` (whose spend), `period`, `limit_usd`,
    `spent_usd` (so far, as metered), `total_usd` (expected at its end, the median) with its interval (`total_usd-lo-80`
    as `low_usd`, `high_usd`), `p_exceed`, `exhausted` (when it is used up, the median; null: not in this period) and
    `resets_at`. What cannot be told is null: of a budget that counts one API key, or where nothing was metered lately.
    `outlooks` are those they were read from.
    """

    table: pl.DataFrame
    outlooks: tuple[Outlook, ...]
    kind: Kind = "polars"

    def sentence(self) -> str:
        """How many will probably be exceeded, and which is used up first."""
        if self.table.is_empty():
            return NONE_DECLARED
        count = len(self.table)
        over = self.table.filter(pl.col("p_exceed") >= LIKELY)
        if over.is_empty():
            held = "the one budget will probably hold" if count == 1 else f"all {count} budgets will probably hold"
            return f"{held[0].upper()}{held[1:]}."
        first = over.sort("exhausted", nulls_last=True).row(0, named=True)
        said = f"{len(over)} of {count} {words.plural('budget', count)} will more likely than not be exceeded"
        used = first["exhausted"]
        return f"{said}, first {first['budget']}" + (f", used up about {words.moment(used)}." if used else ".")

    def plot(self) -> Figure | None:
        """What is left of the most endangered budgets; None where there is no outlook."""
        if not self.outlooks:
            return None
        worst = max(self.outlooks, key=lambda made: made.table["p_exceed"].fill_null(-1).max() or 0.0)
        return worst.plot(most=3)

    def for_people(self) -> pl.DataFrame | None:
        """The table, None where no budget is declared."""
        return None if self.table.is_empty() else self.table

    def report(self) -> tuple[str, Figure | None, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """To raise a limit or to spend less, while there is time; to declare a budget where there is none."""
        if self.table.is_empty():
            return ["Declare a budget for each team with `gaugebook budget set`, so that a month cannot run away."]
        over = self.table.filter(pl.col("p_exceed") >= LIKELY).sort("exhausted", nulls_last=True)
        return [_raise(row) for row in over.head(3).iter_rows(named=True)]


def standings(budgets: Frame, spend: Frame, *, n: int = 1000, seed: int = 0) -> Standings:
    """Say how declared budgets will stand at the end of their periods.

    What a budget counts is taken from what was metered, not from its own ledger, which knows only calls that went
    through it.

    Args:
        budgets: as `records.budgets` gives them: name, team, project, model (null: all; a star in a model stands for
            any text), by_key, period, limit_usd, starts_at, ends_at.
        spend: wide rows as `load.metrics` gives them: bucket, team, project, model, total_cost.
        n: outcomes to simulate.
        seed: of the simulation.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.

    >>> from datetime import UTC, datetime
    >>> hours = pl.datetime_range(datetime(2026, 3, 1), datetime(2026, 3, 15, 23), "1h", time_zone="UTC", eager=True)
    >>> rows = pl.DataFrame({"bucket": hours, "team": "a", "project": "p", "model": "gpt-5", "total_cost": 1.0})
    >>> bounds = {"starts_at": datetime(2026, 3, 1, tzinfo=UTC), "ends_at": datetime(2026, 4, 1, tzinfo=UTC)}
    >>> one = {"name": "all", "team": None, "project": None, "model": "gpt-*", "by_key": False, "period": "month",
    ...     "limit_usd": 600.0, **bounds}
    >>> standings(pl.DataFrame([one]), rows).sentence()
    '1 of 1 budget will more likely than not be exceeded, first all, used up about 2026-03-26 00:00 UTC.'
    """
    declared, kind = polars(budgets)
    rows, _ = polars(spend)
    made: list[Outlook] = []
    told: list[dict[str, Any]] = []
    for (since, until), group in declared.group_by("starts_at", "ends_at", maintain_order=True):
        counted = {row["name"]: _counted(rows, row) for row in group.iter_rows(named=True) if not row["by_key"]}
        fresh = {name: own for name, own in counted.items() if len(own) and own["ds"].max() >= since - STALE}
        ahead = _ahead(fresh, group, since, until, n, seed)
        if ahead is not None:
            made.append(ahead)
        outcomes = {} if ahead is None else {row["budget"]: row for row in ahead.table.iter_rows(named=True)}
        told += [_row(row, outcomes.get(row["name"], {})) for row in group.iter_rows(named=True)]
    table = pl.DataFrame(told, schema=_schema(rows)) if told else pl.DataFrame(schema=_schema(rows))
    used = pl.col("spent_usd") / pl.when(pl.col("limit_usd") > 0).then("limit_usd")
    order = [pl.col("p_exceed"), used, pl.col("budget")]
    return Standings(table.sort(order, descending=[True, True, False], nulls_last=True), tuple(made), kind)


def whose(rows: pl.DataFrame, team: str | None, project: str | None, model: str | None) -> pl.DataFrame:
    """The rows of `team, project, model` that a budget counts; None counts all, a star in a model stands for any text.

    >>> rows = pl.DataFrame({"team": ["a", "a"], "project": ["p", "p"], "model": ["gpt-5", "o3"]})
    >>> whose(rows, "a", None, "gpt-*")["model"].to_list()
    ['gpt-5']
    """
    for dim, wanted in (("team", team), ("project", project)):
        rows = rows if wanted is None else rows.filter(pl.col(dim) == wanted)
    if model is None:
        return rows
    # Only the star is special in a budget.
    pattern = model.replace("[", "[[]").replace("?", "[?]")
    return rows.filter(pl.col("model").is_in([name for name in rows["model"].unique() if fnmatchcase(name, pattern)]))


def _ahead(
    counted: dict[str, pl.DataFrame], group: pl.DataFrame, since: object, until: object, n: int, seed: int
) -> Outlook | None:
    """One outlook of all budgets of a period, None where nothing can be told."""
    if not counted:
        return None
    frame = pl.concat([own.with_columns(pl.lit(name).alias("unique_id")) for name, own in counted.items()])
    limits = {row["name"]: row["limit_usd"] for row in group.iter_rows(named=True) if row["name"] in counted}
    try:
        return outlook(frame, limits, since=since, until=until, n=n, seed=seed)  # type: ignore[arg-type]  # datetimes
    except (NoRows, TooShort):
        return None


def _counted(rows: pl.DataFrame, budget: dict[str, Any]) -> pl.DataFrame:
    """What a budget counts, by bucket: `ds, y`, 0 in hours that other calls were metered in."""
    own = whose(rows, budget["team"], budget["project"], budget["model"])
    if own.is_empty():
        return pl.DataFrame(schema={"ds": rows.schema["bucket"], "y": pl.Float64})
    sums = own.group_by(pl.col("bucket").alias("ds")).agg(pl.col("total_cost").sum().cast(pl.Float64).alias("y"))
    clock = rows.filter(pl.col("bucket") >= sums["ds"].min()).select(pl.col("bucket").unique().alias("ds"))
    return clock.join(sums, on="ds", how="left").with_columns(pl.col("y").fill_null(0.0)).sort("ds")


def _row(budget: dict[str, Any], ahead: dict[str, Any]) -> dict[str, Any]:
    named = [f"{dim} {budget[dim]}" for dim in ("team", "project", "model") if budget[dim] is not None]
    named += ["one API key"] if budget["by_key"] else []
    return {
        "budget": budget["name"],
        "counts": ", ".join(named) or "everything",
        "period": budget["period"],
        "limit_usd": budget["limit_usd"],
        "spent_usd": ahead.get("spent"),
        "total_usd": ahead.get("total"),
        "low_usd": ahead.get("total-lo-80"),
        "high_usd": ahead.get("total-hi-80"),
        "p_exceed": ahead.get("p_exceed"),
        "exhausted": ahead.get("exhausted"),
        "resets_at": budget["ends_at"],
    }


def _schema(rows: pl.DataFrame) -> dict[str, Any]:
    money = ("limit_usd", "spent_usd", "total_usd", "low_usd", "high_usd", "p_exceed")
    time = rows.schema.get("bucket", pl.Datetime("us", "UTC"))
    texts = dict.fromkeys(("budget", "counts", "period"), pl.String)
    return {**texts, **dict.fromkeys(money, pl.Float64), "exhausted": time, "resets_at": time}


def _raise(row: dict[str, Any]) -> str:
    when = f" before {words.moment(row['exhausted'])}" if row["exhausted"] else ""
    short = words.usd(max(0.0, (row["total_usd"] or 0.0) - row["limit_usd"]))
    return f"Raise the budget {row['budget']} by {short}, or spend less in it{when}: calls beyond it are refused."
