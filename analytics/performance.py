"""How fast models answer, how often they fail, and how both compare with the span before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.attainment import Attainment, slo
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

__all__ = ["Attainment", "Speeds", "series", "slo", "speeds", "worst_hours"]

LATENCIES = ("ttft_p50_s", "ttft_p95_s", "tpot_p50_s", "duration_p95_s")
SLOWER_PCT = 25.0  # per cent by which the 95th percentile has to grow to be worth a word
FAILING = 0.02  # share of failed requests from which on a model is worth a look
FEW = 20  # requests below which a percentile says little
CLASSES = {
    "rate_limit": "ask the provider for a higher rate limit, or spread the calls",
    "timeout": "raise the time limit, or ask for shorter answers",
    "server": "retry with a back-off, and have a second model to fall back on",
    "client": "look at what is sent: such calls fail again when they are retried",
    "other": "look at the error types of single requests with `gaugebook export llm_requests`",
}


@dataclass(frozen=True, repr=False)
class Speeds(Tabled):
    """Speed and failures by model, the one with most requests first.

    `table` has model, requests, errors, `error_share` (0 to 1), `ttft_p50_s`, `ttft_p95_s` (time to first token),
    `tpot_p50_s` (time per output token), `tokens_per_s` (its inverse: what a reader sees), `duration_p95_s`, and
    `ttft_delta_pct`: the 95th percentile of the first token against the span before, per cent, null where there was
    none. Errors are in no percentile. `failures` has one row per model and class of failure: model, `failure`, errors.
    """

    table: pl.DataFrame
    failures: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """The first token of all models, the slowest of them, and failures."""
        told = self.table.filter(pl.col("requests") >= FEW).drop_nulls("ttft_p95_s").sort("ttft_p95_s")
        requests, errors = int(self.table["requests"].sum()), int(self.table["errors"].sum())
        failed = f"{words.share(errors / requests)} of {words.amount(requests)} requests failed"
        if told.is_empty():
            return f"{failed}; no request has told when its first token came."
        slow, fast = told.row(-1, named=True), told.row(0, named=True)
        said = (
            f"The first token of {slow['model']} comes within {words.seconds(slow['ttft_p95_s'])} in 95 of 100 requests"
        )
        if len(told) > 1:
            said += f", the slowest; {fast['model']} takes {words.seconds(fast['ttft_p95_s'])}"
        return f"{said}. {failed[0].upper()}{failed[1:]}."

    def plot(self, *, most: int = 12) -> Figure | None:
        """The 95th percentile of the time to first token, the slowest model on top."""
        from analytics.charts.ranked import ranked

        rows = self.table.drop_nulls("ttft_p95_s").sort("ttft_p95_s", descending=True)
        if rows.is_empty():
            return None
        title = "Time to first token by model, 95th percentile"
        names, values = rows["model"].to_list(), rows["ttft_p95_s"].to_list()
        return ranked(names, values, title=title, unit="seconds", alt=self.sentence(), most=most)

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        return self.table if self.table["ttft_delta_pct"].count() else self.table.drop("ttft_delta_pct")

    def report(self) -> tuple[str, Figure | None, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def failed(self) -> tuple[str, pl.DataFrame | None]:
        """The classes of failures: a sentence, and a table by model where there are any."""
        if self.failures.is_empty():
            return "No request failed.", None
        top = self.failures.row(0, named=True)
        count = words.amount(int(self.failures["errors"].sum()))
        each = f"{top['model']} with {words.amount(top['errors'])} ({top['failure']})"
        return f"{count} requests failed; most of {each}.", self.failures

    def advice(self) -> list[str]:
        """What to do about failures of the worst model, and about one that has become slower."""
        said = []
        busy = self.table.filter(pl.col("requests") >= FEW)
        for row in (
            busy.filter(pl.col("error_share") >= FAILING).sort("errors", descending=True).head(1).rows(named=True)
        ):
            kinds = self.failures.filter(pl.col("model") == row["model"])["failure"].to_list()
            then = CLASSES[kinds[0].replace(" ", "_") if kinds else "other"]
            said.append(f"{words.share(row['error_share'])} of the requests of {row['model']} fail: {then}.")
        slower = busy.filter(pl.col("ttft_delta_pct") >= SLOWER_PCT).sort("ttft_delta_pct", descending=True)
        for row in slower.head(1).rows(named=True):
            slow, percent = words.seconds(row["ttft_p95_s"]), words.share(row["ttft_delta_pct"] / 100)
            said.append(f"Ask why the first token of {row['model']} takes {slow}, {percent} longer than before.")
        return said


def speeds(latency: Frame, before: Frame, errors: Frame) -> Speeds:
    """Put latencies and failures of each model side by side with the span before.

    Args:
        latency: percentiles by model as `load.latency(by=("model",), grain="span")` gives them.
        before: the same of the span before; may be empty.
        errors: failures by model and class as `records.errors` gives them.

    Raises:
        NoRows: nothing in `latency`.
        ColumnMissing: a column is not there.

    >>> one = {"model": "m", "requests": 100, "errors": 1, "ttft_p50_s": 0.2, "ttft_p95_s": 0.5, "tpot_p50_s": 0.02,
    ...     "duration_p95_s": 4.0}
    >>> none = pl.DataFrame(schema={"model": str, "ttft_p95_s": float})
    >>> failed = pl.DataFrame({"model": ["m"], "errors": [1], "rate_limit": [1], "timeout": [0], "server": [0],
    ...     "client": [0], "other": [0]})
    >>> made = speeds(pl.DataFrame([one]), none, failed)
    >>> made.table.select("error_share", "tokens_per_s", "ttft_delta_pct").row(0), made.failed()[0]
    ((0.01, 50.0, None), '1 requests failed; most of m with 1 (rate limit).')
    """
    data, kind = polars(latency)
    for name in ("model", "requests", "errors", *LATENCIES):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty() or not data["requests"].sum():
        raise NoRows("llm_requests")
    past = polars(before)[0].select("model", pl.col("ttft_p95_s").alias("past"))
    table = data.join(past, on="model", how="left").select(
        "model",
        "requests",
        "errors",
        (pl.col("errors") / pl.col("requests")).alias("error_share"),
        "ttft_p50_s",
        "ttft_p95_s",
        "tpot_p50_s",
        pl.when(pl.col("tpot_p50_s") > 0).then(1 / pl.col("tpot_p50_s")).alias("tokens_per_s"),
        "duration_p95_s",
        (100 * (pl.col("ttft_p95_s") / pl.when(pl.col("past") > 0).then("past") - 1)).alias("ttft_delta_pct"),
    )
    classes = polars(errors)[0].select("model", *CLASSES).unpivot(index="model", variable_name="failure")
    sums = classes.group_by("model", "failure").agg(pl.col("value").sum().alias("errors")).filter(pl.col("errors") > 0)
    order = ["errors", "model", "failure"]
    named = sums.with_columns(pl.col("failure").str.replace("_", " "))
    failures = named.sort(order, descending=[True, False, False])
    return Speeds(table.sort("requests", "model", descending=[True, False]), failures, kind)


def series(latency: Frame, value: str = "ttft_p95_s") -> pl.DataFrame:
    """A percentile over time as series by model, as `anomalies` and `changepoints` take them.

    Args:
        latency: percentiles by hour and model as `load.latency` gives them.
        value: the column to look at, seconds; an hour in which nothing was measured is null.

    Raises:
        NoRows: nothing has been measured.
        ColumnMissing: a column is not there.

    >>> rows = pl.DataFrame({"ds": [1, 2], "model": "m", "ttft_p95_s": [0.5, 0.7]})
    >>> series(rows).rows()
    [('m', 1, 0.5), ('m', 2, 0.7)]
    """
    data, _ = polars(latency)
    for name in ("ds", "model", value):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    long = data.select(pl.col("model").alias("unique_id"), "ds", pl.col(value).alias("y"))
    known = long.filter(pl.col("y").count().over("unique_id") > 1)
    if known.is_empty():
        raise NoRows(f"latency ({value.removesuffix('_s').replace('_', ' ')})")
    return known.sort("unique_id", "ds")


def worst_hours(week: Frame, *, value: str = "ttft_s", least: int = FEW) -> str:
    """The hour of the week at which a value is highest, and how it compares with the median hour.

    Args:
        week: rows as `records.week` gives them: weekday, hour, requests and `value` (seconds).
        value: the column that is looked at.
        least: requests that an hour needs to count.

    Raises:
        TooShort: no hour has as many requests.

    >>> hours = pl.DataFrame({"weekday": [1, 1, 2], "hour": [9, 10, 9], "requests": 50, "ttft_s": [0.4, 0.8, 0.4]})
    >>> worst_hours(hours)
    'Slowest on Monday at 10:00 UTC: 800 ms, 2.0 times the median hour.'
    """
    from analytics.charts.seasons import DAYS

    rows, _ = polars(week)
    busy = rows.filter(pl.col("requests") >= least).drop_nulls(value)
    if busy.is_empty():
        raise TooShort("the span", f"no hour of the week has {least} requests that told when their first token came")
    top = busy.sort(value, "requests", descending=True).row(0, named=True)
    usual = float(busy[value].median())  # type: ignore[arg-type]  # a column of numbers
    said = f"Slowest on {DAYS[top['weekday'] - 1]} at {top['hour']:02d}:00 UTC: {words.seconds(top[value])}"
    return f"{said}, {top[value] / usual:.1f} times the median hour." if usual > 0 else f"{said}."
