"""The worst findings with their cause: who was behind each, and whether it was more requests or dearer ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.detection import Anomalies
from analytics.frames import Kind
from analytics.tabled import Tabled
from store.errors import NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

ALIKE = 0.25  # a ratio to the usual that is no further from one counts as the same


@dataclass(frozen=True, repr=False)
class Causes(Tabled):
    """Findings and what explains them, the worst first.

    `table` has `series`, `ds` (start), `until` (end, not included), `y` and `expected` at the worst point, `severity`,
    `impact_usd` (the sum of what was not expected; null unless it is money), `cause` (the dimension value that moved
    most, and its share of the change) and `how` (more requests, or dearer ones). `findings` are all that there were.
    """

    table: pl.DataFrame
    found: Anomalies
    kind: Kind = "polars"

    def sentence(self) -> str:
        """How many findings, and the worst with its cause."""
        count = len(self.found.findings)
        if not count:
            return self.found.sentence()
        row = self.table.row(0, named=True)
        y, expected = (words.amount(row[name], self.found.unit) for name in ("y", "expected"))
        said = f"{count} {words.plural('anomaly', count)}; the worst in {row['series']} at {words.moment(row['ds'])}, "
        said += f"{y} where {expected} was expected"
        reasons = ", ".join(row[name] for name in ("cause", "how") if row[name])
        return f"{said}: {reasons}." if reasons else f"{said}."

    def plot(self, *, most: int = 3) -> Figure:
        """The series with the worst findings over time."""
        return self.found.plot(most=most)

    def for_people(self) -> pl.DataFrame | None:
        """The table, without what says nothing."""
        if self.table.is_empty():
            return None
        empty = [name for name in ("impact_usd", "cause", "how") if not self.table[name].count()]
        shown = self.table.drop(empty)
        if not isinstance(shown.schema["ds"], pl.Datetime):
            return shown
        lasted = (pl.col("until") - pl.col("ds")).dt.total_seconds().cast(pl.Float64).alias("lasted_s")
        return shown.select("series", "ds", lasted, pl.exclude("series", "ds", "until"))

    def report(self) -> tuple[str, Figure, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, the findings with their causes."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """To look at the worst finding, if it is more than a notice."""
        rows = self.table.filter(pl.col("severity") != "notice").head(1)
        said = []
        for row in rows.iter_rows(named=True):
            who = f" with {row['cause']}" if row["cause"] else ""
            said.append(f"Ask what happened in {row['series']} at {words.moment(row['ds'])}{who}.")
        return said

    @property
    def measured_in(self) -> str:
        """The unit of the findings."""
        return self.found.unit


def causes(
    found: Anomalies, frame: Frame | None = None, *, of: str = "model", by: Sequence[str] = ("team", "project"),
    value: str = "total_cost", most: int = 8,
) -> Causes:  # fmt: skip
    """Explain the worst findings by the rows that the series were added up from.

    Args:
        found: the result of `anomalies`, of series named by one column of `frame`.
        frame: wide rows as `load.metrics` gives them: bucket, the columns of `of` and `by`, `value` and requests.
            None: findings are listed without a cause.
        of: the column that names the series.
        by: the dimensions that may explain a finding.
        value: the column that the series are made of.
        most: findings that are explained, the worst first.

    Raises:
        ColumnMissing: the frame lacks a column.

    >>> from analytics import anomalies
    >>> hours = pl.DataFrame({"bucket": range(300), "a": 5.0, "b": [1.0, 2.0] * 150})
    >>> hours = hours.with_columns(b=pl.when(pl.col("bucket") == 250).then(90.0).otherwise("b"))
    >>> rows = hours.unpivot(index="bucket", variable_name="team", value_name="total_cost")
    >>> rows = rows.with_columns(model=pl.lit("m"), requests=pl.col("total_cost"))
    >>> series = rows.group_by(ds="bucket", unique_id="model").agg(y=pl.col("total_cost").sum())
    >>> causes(anomalies(series), rows, by=["team"]).table["cause"].to_list()
    ['team b: 88 more than expected, 100 % of the whole change']
    """
    worst = found.findings.with_row_index("finding").sort("score", descending=True).head(most)
    explained = [_explained(found, row, frame, of, by, value) for row in worst.iter_rows(named=True)]
    texts = {"cause": pl.String, "how": pl.String}
    table = pl.concat([worst, pl.DataFrame(explained, schema=texts, orient="row")], how="horizontal")
    named = {found.id_col: "series", found.time_col: "ds", found.target_col: "y", "impact": "impact_usd"}
    shown = ["series", "ds", "until", "y", "expected", "severity", "impact_usd", "cause", "how"]
    return Causes(table.rename(named).with_columns(pl.col("series").cast(pl.String)).select(shown), found, found.kind)


def _explained(
    found: Anomalies, row: dict[str, Any], frame: Frame | None, of: str, by: Sequence[str], value: str
) -> tuple[str | None, str | None]:
    """Who was behind a finding, and how."""
    if frame is None:
        return None, None
    from analytics.frames import polars

    rows, _ = polars(frame)
    if of in rows.columns:
        rows = rows.filter(pl.col(of).cast(pl.String) == str(row[found.id_col]))
    dims = [name for name in by if name in rows.columns]
    alone = [f"{name} {rows[name][0]}" for name in dims if rows[name].n_unique() == 1]
    dims = [name for name in dims if rows[name].n_unique() > 1]
    measures = {name: _long(rows, name, found) for name in (value, "requests")}
    finding = int(row["finding"])
    try:
        who = found.contributions(finding, measures[value], dims).sentence().rstrip(".") if dims else None
        whole = [pl.lit("all").alias("all")]
        sums = {
            name: found.contributions(finding, made.with_columns(whole), ["all"]) for name, made in measures.items()
        }
    except NoRows:
        return None, None
    return who or ", ".join(alone) or None, _how(*(_ratio(sums[name].table) for name in (value, "requests")))


def _long(rows: pl.DataFrame, value: str, found: Anomalies) -> pl.DataFrame:
    """Rows with the names of columns that the findings have."""
    column = pl.col(value).cast(pl.Float64).fill_null(0.0).alias(found.target_col)
    dims = [name for name in ("provider", "model", "team", "project") if name in rows.columns]
    return rows.select(pl.col("bucket").alias(found.time_col), column, *dims)


def _ratio(table: pl.DataFrame) -> float | None:
    """What there was, in parts of what was expected."""
    actual, expected = table.select("actual", "expected").row(0)
    return float(actual / expected) if expected > 0 else None


def _how(value: float | None, requests: float | None) -> str | None:
    """More requests, or dearer ones.

    >>> _how(8.0, 8.1), _how(3.0, 1.1), _how(None, 1.0)
    ('8.1 times the usual requests', '2.7 times as dear a request', None)
    """
    if value is None or requests is None or requests <= 0:
        return None
    each = value / requests
    said = []
    if abs(requests - 1) > ALIKE:
        said.append(f"{requests:.2g} times the usual requests")
    if abs(each - 1) > ALIKE:
        said.append(f"{each:.2g} times as dear a request")
    return ", ".join(said) or None
