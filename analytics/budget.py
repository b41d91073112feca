"""Whether a budget will last: the distribution of spend at the end of its period, and when it is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.forecasting import levels_of
from analytics.frames import Floats, Kind, Panel, panel
from analytics.outcomes import CELLS, Asked, Outcomes, draw, first_passage, simulate, weights_ahead
from analytics.periods import Bound, Calendar, Period
from analytics.periods import period as _span
from analytics.seasons import known
from analytics.tabled import Tabled
from store.errors import ParameterInvalid, UnknownName

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

ALL = "all"  # the name of a budget over every series of a frame
LEAST = 100  # outcomes, fewer tell nothing of a tail
LARGEST = 50  # series whose part in the uncertainty is told one by one
OTHER = "other"


@dataclass(frozen=True, repr=False)
class Outlook(Explained, Tabled):
    """How budgets will stand at the end of their period.

    `table` has one row per budget, the most endangered first: `budget`, `limit`, `spent` (so far in the period),
    `total` (expected at its end, the median) and its interval (`total-lo-80`, ...), `p_exceed` (probability that the
    limit is exceeded; null where the history is too short to tell), `run_rate` (spend at the end at the pace so far),
    `exhausted` (when the limit is passed, the median; null: not in this period) and its interval, whose ends are null
    where they lie beyond the period, and `driver` (the series that moves the outcome most).

    `drivers` has one row per budget and series: `spent`, `expected` (of the rest of the period), `share` (of what is
    expected) and `uncertainty` (of the variance of the outcome: covariance with it; those of a budget add up to 1).
    `fan` has the cumulated spend over time: `spent`, then `expected` and its intervals. `samples` (budget, path) are
    the simulated outcomes that all of it is read from. `unit` is that of the values, for people.
    """

    table: pl.DataFrame
    drivers: pl.DataFrame
    fan: pl.DataFrame
    samples: Floats
    level: tuple[float, ...]
    period: Period
    unit: str
    note: str
    kind: Kind = "polars"

    def probability(self, limit: float, budget: str | None = None) -> float:
        """Probability that a budget's spend exceeds `limit` at the end of the period.

        Raises:
            UnknownName: there is no such budget.
        """
        names = self.table["budget"].to_list()
        if budget is not None and budget not in names:
            raise UnknownName("budget", budget, names)
        return exceeding(self.samples[names.index(budget) if budget is not None else 0], limit)

    def plot(self, *, most: int = 4) -> Figure:
        """Cumulated spend with its fan against the limit, the `most` endangered budgets."""
        from analytics.charts import burn_down

        return burn_down(self, most=most)

    def sentence(self) -> str:
        """Where the most endangered budget will probably end, and when it is used up."""
        first = self.table.row(0, named=True)
        level = self.level[0]
        bounds = (first[f"total-lo-{level:g}"], first[f"total-hi-{level:g}"])
        name = "" if first["budget"] == ALL else f"{first['budget']}: "
        said = words.interval(first["total"], *bounds, level=level, unit=self.unit)
        if not self.period.horizon:
            said = words.amount(first["total"], self.unit)
        text = f"{name}{said} of {words.amount(first['limit'], self.unit)} for {self.period.sentence()}"
        text += f"; {_odds(first['p_exceed'])}"
        if first["exhausted"] is not None:
            text += f", used up about {words.moment(first['exhausted'])}"
        text += f". At the pace so far {words.amount(first['run_rate'], self.unit)}."
        if first["driver"] is not None:
            text += f" {first['driver']} moves it most."
        if len(self.table) > 1:
            danger = int((self.table["p_exceed"] >= 0.5).sum())
            text += f" {danger} of {len(self.table)} budgets will more likely than not be exceeded."
        return text

    def grounds(self) -> Grounds:
        """The outcomes, how wide they are, and what to do about the most endangered budget."""
        first, level = self.table.row(0, named=True), self.level[0]
        outcomes = words.amount(self.samples.shape[1])
        low, high = (words.amount(first[f"total-{side}-{level:g}"], self.unit) for side in ("lo", "hi"))
        odds, name = first["p_exceed"], "all spend" if first["budget"] == ALL else first["budget"]
        over = max(0.0, first["total"] - first["limit"])
        advice = f"Nothing yet for {name}; look again in a few days."
        if odds is not None and odds >= 0.5:
            advice = f"Save {words.amount(over, self.unit)} in {name}, raise the limit, or be ready for the cut-off."
        elif odds is not None and odds >= 0.1:
            advice = f"Keep an eye on {name}: one in {1 / odds:.0f} outcomes goes over the limit."
        return Grounds(
            f"From what was spent so far and {outcomes} simulated outcomes of {self.period.sentence()}.",
            f"{level:g} % of the outcomes of {name} end between {low} and {high}.",
            advice,
        )

    def picture(self) -> str:
        """Cumulated spend of the most endangered budget so far and to come, and its limit."""
        from analytics.pictures import lines

        first, level = self.table.row(0, named=True), f"{self.level[0]:g}"
        rows = self.fan.filter(pl.col("budget") == first["budget"])
        past, ahead = rows.filter(pl.col("spent").is_not_null()), rows.filter(pl.col("expected").is_not_null())
        band = (ahead[f"lo-{level}"], ahead[f"hi-{level}"])
        alt = f"{first['budget']}: {self.sentence()}"
        return lines(past["spent"], ahead["expected"], band, limit=first["limit"], alt=alt, unit=self.unit)

    def how(self) -> str:
        """How it was simulated."""
        return self.note

    def report(self) -> tuple[str, Figure, pl.DataFrame, str]:
        """What a report shows: a sentence, the chart, the budgets, how it was made."""
        return self.sentence(), self.plot(), self.for_people(), self.note

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows: the interval of the first level."""
        level = f"{self.level[0]:g}"
        shown = ["budget", "limit", "spent", "total", f"total-lo-{level}", f"total-hi-{level}", "p_exceed", "run_rate"]
        return self.table.select(*shown, "exhausted", "driver")


def outlook(
    frame: Frame,
    limit: float | Mapping[str, float],
    *,
    period: Calendar = "month",
    since: Bound = None,
    until: Bound = None,
    spent: float | Mapping[str, float] | None = None,
    level: float | Sequence[float] = (80, 95),
    n: int = 2000,
    seed: int = 0,
    season_length: int | Sequence[int] | None = None,
    engine: str = "ensemble",
    unit: str = "USD",
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Outlook:
    """Say how budgets will stand at the end of their period: a distribution, not a number.

    What is to come is simulated by the forecast's joint paths, whose sums have the spread that sums of forecast errors
    had in backtests; intervals of single steps are never added up. A budget is exceeded in as many of the outcomes.

    Args:
        frame: long frame of spend per bucket, polars or pandas; `load.llm(by=("team",))`, for instance. A bucket that a
            series lacks cost nothing; one that is null is not known, and filled in from its neighbours.
        limit: what may be spent in the period: one number for all series together, or {series: limit} for several.
        period: day, week, month, quarter or year: the one that the last bucket is in, in the frame's time zone.
        since: start of the period instead; of the type of the time column, or an ISO text.
        until: its end, not included; likewise. Integer times need it.
        spent: what was spent in the period so far, where the frame does not tell all of it: one number, or
            {series: number}.
        level: intervals in per cent, between 0 and 100.
        n: outcomes to simulate, at least 100.
        seed: of the simulation; the same seed gives the same outcomes.
        season_length: as in `forecast`.
        engine: as in `forecast`.
        unit: unit of the values for charts and sentences.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, TooShort, ColumnMissing: what came in cannot be used.
        UnknownName: a series or period that there is not.
        ParameterInvalid: a limit, bound or number cannot be used.

    Source:
        First passage of a cumulated process by simulation: P. Glasserman, *Monte Carlo Methods in Financial
        Engineering*, 2003, chapter 6; the paths are those of `Forecast.paths`.

    >>> first, last = pl.datetime(2026, 3, 2), pl.datetime(2026, 3, 15, 23)
    >>> hours = pl.datetime_range(first, last, "1h", time_zone="UTC", eager=True)
    >>> steady = pl.DataFrame({"ds": hours, "y": 1.0})
    >>> ahead = outlook(steady, limit=600, since="2026-03-01T00:00Z")
    >>> ahead.table.select("spent", "total", "p_exceed", "exhausted").row(0)[:3]
    (336.0, 720.0, 1.0)
    >>> f"{ahead.table['exhausted'][0]:%m-%d %H:%M}"
    '03-27 00:00'
    """
    levels = levels_of(level)
    if isinstance(n, bool) or not isinstance(n, int) or n < LEAST:
        raise ParameterInvalid("n", f"expected a whole number of outcomes, at least {LEAST}, got {n!r}")
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    values, last, unknown = _spend(data)
    series = [str(name) for name in data.ids]
    limits = _numbers("limit", limit, series if isinstance(limit, Mapping) else [ALL])
    opening = _numbers("spent", spent, list(limits)) if spent is not None else {}
    span = _span(data.grid, last - (values.shape[1] - 1) * data.grid.step, last, period, since, until)
    rows = values if ALL in limits and not isinstance(limit, Mapping) else values[[series.index(b) for b in limits]]
    sums = rows.sum(axis=0, keepdims=True) if rows is values else rows

    offsets = np.arange(1 - values.shape[1], 1, dtype=np.int64)
    inside = sums * span.weights(offsets)
    recorded = inside.sum(axis=1)
    so_far = np.array([opening.get(name, recorded[k]) for k, name in enumerate(limits)])
    most = np.array(list(limits.values()))
    asked = Asked(n, seed, levels, season_length, engine)
    made = simulate(sums, list(limits), most, so_far, span, asked)
    ticks = last + offsets.astype(np.float64) * data.grid.step
    earlier = first_passage(so_far - recorded, inside, most, ticks, data.grid.step)
    passed = np.where(np.isfinite(earlier), earlier, np.inf)[:, None]
    passed = np.where(so_far[:, None] > most[:, None], np.minimum(passed, last + data.grid.step), made.passed)
    elapsed = span.weights(offsets).sum()
    coming = made.totals.mean(axis=1) - so_far
    shares = _drivers(rows, series, list(limits), coming, span, asked, summed=rows is values)
    table = _table(
        list(limits), most, so_far, made, passed, span, levels, so_far / elapsed * span.steps if elapsed else None
    )
    strongest = shares.filter(pl.len().over("budget") > 1).group_by("budget").agg(
        pl.col("series").sort_by("uncertainty", "expected", descending=True, nulls_last=True).first().alias("driver")
    )  # fmt: skip
    table = table.join(strongest, on="budget", how="left", maintain_order="left").with_row_index("row")
    used = pl.col("total") / pl.when(pl.col("limit") > 0).then("limit")
    table = table.sort(pl.col("p_exceed"), used, descending=True, nulls_last=True, maintain_order=True)
    order = table["row"].to_numpy()
    fan = _fan(list(limits), so_far - recorded, inside, made, span, levels)
    note = _note(span, unknown, elapsed, opening)
    return Outlook(table.drop("row"), shares, fan, made.totals[order], levels, span, unit, note, data.kind)


def _spend(data: Panel) -> tuple[Floats, int, int]:
    """Spend (series, time) on one clock, 0 where a series has no rows; the last tick; how many values are not known."""
    last, step, width = int(data.ends.max()), data.grid.step, data.values.shape[1]
    late = (last - data.ends) // step
    out = np.zeros((len(data.ends), width + int(late.max())))
    unknown = 0
    for row, values, gap in zip(out, data.values, late, strict=True):
        filled = known(values)
        unknown += int(np.isnan(values[len(values) - len(filled) :]).sum())
        stop = len(row) - int(gap)
        row[stop - len(filled) : stop] = filled
    return out, last, unknown


def _numbers(name: str, given: float | Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The numbers of budgets by name."""
    asked = (
        {str(key): value for key, value in given.items()} if isinstance(given, Mapping) else dict.fromkeys(names, given)
    )
    if not asked:
        raise ParameterInvalid(name, "expected a number, or {series: number} with at least one series")
    for budget, value in asked.items():
        if budget not in names:
            raise UnknownName("series", budget, names)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ParameterInvalid(name, f"expected a number for {budget!r}, got {value!r}")
        if name == "limit" and value < 0:
            raise ParameterInvalid(name, f"expected zero or more for {budget!r}, got {value!r}")
    return {budget: float(value) for budget, value in asked.items()}


def _table(
    names: list[str], limits: Floats, spent: Floats, made: Outcomes, passed: Floats, span: Period,
    levels: tuple[float, ...], run_rate: Floats | None,
) -> pl.DataFrame:  # fmt: skip
    told = np.array(made.told)
    odds = np.array([exceeding(row, limit) for row, limit in zip(made.totals, limits, strict=True)])
    columns: dict[str, object] = {
        "budget": names,
        "limit": limits,
        "spent": spent,
        "total": np.median(made.totals, axis=1),
    }
    for level in levels:
        for side, sign in (("lo", -1), ("hi", 1)):
            bound = np.quantile(made.totals, (50 + sign * level / 2) / 100, axis=1)
            columns[f"total-{side}-{level:g}"] = np.where(told, bound, np.nan)
    columns["p_exceed"] = np.where(told, odds, np.nan)
    columns["run_rate"] = run_rate if run_rate is not None else np.full(len(names), np.nan)
    table = pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
    moments = [span.times(_quantile(passed, 50)).alias("exhausted")]
    for level in levels:
        for side, sign in (("lo", -1), ("hi", 1)):
            at = np.where(told, _quantile(passed, 50 + sign * level / 2), np.inf)
            moments.append(span.times(at).alias(f"exhausted-{side}-{level:g}"))
    return table.with_columns(moments)


def _quantile(passed: Floats, percent: float) -> Floats:
    """Quantile over paths, some of which are infinite: never between the two."""
    return np.asarray(np.quantile(passed, percent / 100, axis=1, method="inverted_cdf"))


def _fan(
    names: list[str], opening: Floats, inside: Floats, made: Outcomes, span: Period, levels: tuple[float, ...]
) -> pl.DataFrame:
    """Cumulated spend at the end of each bucket: `budget, ds, spent, expected, lo-80, hi-80, ...`."""
    offsets = np.arange(1 - inside.shape[1], 1, dtype=np.int64)
    kept = np.flatnonzero(span.weights(offsets) > 0)
    path = (opening[:, None] + np.cumsum(inside, axis=1))[:, kept]
    count, ahead = len(names), made.fan.shape[1]
    ends = np.minimum(np.concatenate([span.last + (offsets[kept] + 1) * span.grid.step,
        span.last + (np.arange(1, ahead + 1) + 1) * span.grid.step]), span.until)  # fmt: skip
    columns: dict[str, object] = {
        "budget": np.repeat(names, len(ends)),
        "ds": pl.concat([span.times(ends.astype(np.float64))] * count),
        "spent": np.concatenate([path, np.full((count, ahead), np.nan)], axis=1).ravel(),
    }
    labels = ["expected", *(f"{side}-{level:g}" for level in levels for side in ("lo", "hi"))]
    for k, label in enumerate(labels):
        columns[label] = np.concatenate([np.full((count, len(kept)), np.nan), made.fan[:, :, k]], axis=1).ravel()
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def _drivers(
    rows: Floats, series: list[str], budgets: list[str], coming: Floats, span: Period, asked: Asked, *, summed: bool
) -> pl.DataFrame:
    """What each series adds to what is to come, and to how uncertain it is."""
    weights = span.weights(np.arange(1 - rows.shape[1], 1, dtype=np.int64))
    spent = (rows * weights).sum(axis=1)
    if not summed or len(series) == 1:
        names = budgets if not summed else series
        alone = pl.DataFrame({"budget": budgets, "series": names, "spent": spent, "expected": coming})
        return alone.with_columns(share=1.0, uncertainty=1.0)
    largest = np.argsort(-np.abs(rows).sum(axis=1), kind="stable")
    top, rest = largest[:LARGEST], largest[LARGEST:]
    parts, names = rows[top], [series[k] for k in top]
    if len(rest):
        parts, names = np.vstack([parts, rows[rest].sum(axis=0)]), [*names, f"{OTHER} ({len(rest)})"]
        spent = np.append(spent[top], spent[rest].sum())
    else:
        spent = np.asarray(spent[top])
    sums = np.zeros((len(names), 1))
    if span.horizon:
        count = int(np.clip(CELLS // (len(names) * span.horizon), LEAST, asked.n))
        sums = draw(parts, names, span, asked, count)[0] @ weights_ahead(span)
    expected = sums.mean(axis=1)
    apart = sums - expected[:, None]
    common = apart @ apart.sum(axis=0)
    total = expected.sum()
    table = pl.DataFrame({"budget": ALL, "series": names, "spent": spent, "expected": expected})
    nothing = np.full(len(names), np.nan)
    table = table.with_columns(
        pl.Series("share", expected / total if total else nothing),
        pl.Series("uncertainty", common / common.sum() if common.sum() > 0 else nothing),
    )
    return table.with_columns(pl.selectors.float().fill_nan(None)).sort("uncertainty", descending=True, nulls_last=True)


def exceeding(samples: Floats, limit: float) -> float:
    """Share of outcomes above the limit."""
    return float((samples > limit).mean())


def _note(span: Period, unknown: int, elapsed: float, opening: Mapping[str, float]) -> str:
    left = span.horizon
    said = [f"Period {span.sentence()}; {left} {words.plural(words.step(span.grid.step_s), left)} to come, simulated."]
    if not opening and elapsed + left < span.steps - 1:
        said.append("The frame begins after the period does; what was spent before is not in it.")
    if unknown:
        said.append(f"{unknown} values are not known and were filled in from their neighbours.")
    return " ".join(said)


def _odds(probability: float | None) -> str:
    if probability is None:
        return "the history is too short for a probability"
    if probability in (0.0, 1.0):
        return "the limit is passed for certain" if probability else "the limit is not passed in any outcome"
    return f"the limit is passed with a probability of {words.share(probability)}"
