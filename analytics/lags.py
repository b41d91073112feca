"""Which of two series moves first: correlation of their surprises at each lag, and whether it could be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Grid, Kind, Panel, panel
from analytics.seasons import candidate_lengths, known
from analytics.tabled import Tabled
from store.errors import ParameterInvalid, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

ORDERS = 24  # lags of the autoregression that takes the memory out of a series
LEAST = 30  # points in common, beside what the lags take
PERMUTATIONS = 999
PAIRS = 2_000


@dataclass(frozen=True, repr=False)
class LeadLag(Explained, Tabled):
    """Which series moves first.

    `table` has one row per pair, the surest first: `first`, `second`, `lag` (steps that `first` is ahead; below zero:
    behind) at which they hang together most, `correlation` there, `p` (probability of so strong a one at any lag if
    they had nothing to do with each other) and `p_holm`, the same for all pairs together. `lags` has one row per pair
    and lag with its `correlation` and the `bound` that 5 % of unrelated pairs pass at some lag.
    """

    table: pl.DataFrame
    lags: pl.DataFrame
    grid: Grid
    kind: Kind = "polars"

    def plot(self) -> Figure:
        """Correlation at each lag of the surest pair."""
        from analytics.charts import lag_bars

        return lag_bars(self)

    def sentence(self) -> str:
        """The surest pair, which of the two is ahead, and how sure that is."""
        row = self.table.row(0, named=True)
        told = f"correlation {row['correlation']:.2f}, p {row['p_holm']:.2g}"
        if row["p_holm"] > 0.05:
            closest = f"{row['first']} and {row['second']}"
            return f"None of {len(self.table)} pairs hangs together beyond chance; closest {closest} ({told})."
        step = words.step(self.grid.step_s)
        how = "move together" if row["correlation"] > 0 else "move against each other"
        if row["lag"] == 0:
            return f"{row['first']} and {row['second']} {how} within one {step} ({told})."
        ahead, behind = (row["first"], row["second"]) if row["lag"] > 0 else (row["second"], row["first"])
        count = abs(row["lag"])
        return f"{ahead} is {count} {words.plural(step, count)} ahead of {behind}, and they {how} ({told})."

    def grounds(self) -> Grounds:
        """The pairs, the chance of so strong a tie, and what a lead is good for."""
        row = self.table.row(0, named=True)
        sure = f"Pairs with nothing in common would tie so closely with a probability of {row['p_holm']:.2g}."
        linked, count = row["p_holm"] <= 0.05, len(self.table)
        return Grounds(
            f"From {count} {words.plural('pair', count)}, {len(self.lags) // count} lags each.",
            f"{sure} Which of two moves first is no proof of a cause.",
            "Watch what is ahead: it warns before the other moves." if linked else "Nothing: take it for chance.",
        )

    def picture(self) -> str:
        """The strongest correlation of each pair."""
        from analytics.pictures import bars

        names = [f"{first} – {second}" for first, second in self.table.select("first", "second").iter_rows()]
        ties = self.table["correlation"].to_list()
        return bars(names, ties, [f"{one:.2f}" for one in ties], self.sentence())

    def how(self) -> str:
        """What is taken out of the series, and what they are compared with."""
        return "Seasons and memory are taken out of both series first; chance is judged by shuffling whole seasons."

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the pairs."""
        return self.sentence(), self.plot(), self.table


def lead_lag(
    first: Frame,
    second: Frame,
    max_lag: int = 12,
    *,
    seed: int = 0,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> LeadLag:
    """Say which series of `first`, a backlog say, moves before or after which of `second`, a latency say.

    Two series with memory correlate by chance far more often than tables of correlation say. So each is rid of its
    seasons and its memory (the residuals of an autoregression of its own, order by AIC), their ranks are made normal,
    and what is left is correlated at each lag. The strongest of all lags is compared with that of series whose blocks
    (a day long, where days are known) were shuffled; pairs are corrected for their number by Holm's rule.

    Args:
        first: long frame, polars or pandas; see `analytics.frames.panel`.
        second: likewise, on the same clock; only times that both have count.
        max_lag: steps in either direction, at least 1.
        seed: of the shuffles.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, ColumnMissing: what came in cannot be used.
        TooShort: fewer than 30 points and four times `max_lag` in common.
        ParameterInvalid: clocks differ; `max_lag` is not a number of steps; more than 2,000 pairs.

    Source:
        L. D. Haugh, *Checking the independence of two covariance-stationary time series*, JASA 71, 1976 (prewhitening);
        H. R. Kuensch, *The jackknife and the bootstrap for general stationary observations*, 1989 (blocks); P. H.
        Westfall, S. S. Young, *Resampling-based multiple testing*, 1993 (the maximum over lags).

    >>> noise = np.random.default_rng(1).normal(size=302)
    >>> depth = pl.DataFrame({"unique_id": "depth", "ds": range(300), "y": np.cumsum(noise)[2:]})
    >>> ttft = pl.DataFrame({"unique_id": "ttft", "ds": range(300), "y": np.cumsum(noise)[:-2]})
    >>> lead_lag(depth, ttft).table.select("first", "lag", "p").row(0)
    ('depth', 2, 0.001)
    """
    if isinstance(max_lag, bool) or not isinstance(max_lag, int) or max_lag < 1:
        raise ParameterInvalid("max_lag", f"expected a whole number of steps, at least 1, got {max_lag!r}")
    names = {"id_col": id_col, "time_col": time_col, "target_col": target_col}
    one, two = panel(first, **names), panel(second, **names)
    if (one.grid.unit, one.grid.step) != (two.grid.unit, two.grid.step):
        raise ParameterInvalid(time_col, f"steps differ: {one.grid.step_s} s and {two.grid.step_s} s; load one grain")
    if len(one.ids) * len(two.ids) > PAIRS:
        raise ParameterInvalid("first", f"{len(one.ids)} x {len(two.ids)} pairs; choose {PAIRS} at most")
    random = np.random.default_rng(seed)
    pairs, lags = [], []
    for j, name in enumerate(one.ids):
        for k, other in enumerate(two.ids):
            x, y = _common(one, j, two, k)
            if len(x) < LEAST + 4 * max_lag:
                reason = f"{len(x)} points in common, and {LEAST + 4 * max_lag} are needed for {max_lag} lags"
                raise TooShort(f"{name} and {other}", f"{reason}. Load a longer span or ask for fewer lags")
            correlation, p, bound = correlate(x, y, max_lag, candidate_lengths(one.grid, x), random)
            at = int(np.abs(correlation).argmax())
            pairs.append((str(name), str(other), at - max_lag, float(correlation[at]), p))
            steps = np.arange(-max_lag, max_lag + 1)
            told = {"first": str(name), "second": str(other), "lag": steps}
            lags.append(pl.DataFrame({**told, "correlation": correlation, "bound": bound}))
    table = pl.DataFrame(pairs, schema=["first", "second", "lag", "correlation", "p"], orient="row").sort("p")
    holm = np.minimum(1.0, np.maximum.accumulate(table["p"].to_numpy() * np.arange(len(table), 0, -1)))
    return LeadLag(table.with_columns(pl.Series("p_holm", holm)), pl.concat(lags), one.grid, one.kind)


def correlate(
    x: Floats, y: Floats, max_lag: int, seasons: tuple[int, ...], random: np.random.Generator
) -> tuple[Floats, float, float]:
    """Correlation at lags -max_lag to max_lag (positive: x is ahead), p of the strongest, its 5 % bound by chance."""
    a, b = _surprises(x, seasons), _surprises(y, seasons)
    points = min(len(a), len(b))
    a, b = a[-points:], b[-points:]
    whole = [length for length in seasons if 2 < length <= points // 8]
    block = max(whole) if whole else max(2, round(points ** (1 / 2)))
    found = _at_lags(a, b[None, :], max_lag)[0]
    strongest = np.abs(_at_lags(a, _shuffled(b, block, random), max_lag)).max(axis=1)
    p = float((1 + (strongest >= np.abs(found).max()).sum()) / (1 + len(strongest)))
    return found, p, float(np.quantile(strongest, 0.95))


def _common(one: Panel, j: int, two: Panel, k: int) -> tuple[Floats, Floats]:
    """Both series over the time that both have."""
    end = min(int(one.ends[j]), int(two.ends[k]))
    rows = []
    for side, row in ((one, j), (two, k)):
        late = (int(side.ends[row]) - end) // side.grid.step
        values = side.values[row]
        kept = values[: len(values) - late] if late else values
        rows.append(known(kept) if np.isfinite(kept).any() else kept[:0])
    points = min(len(row) for row in rows)
    return rows[0][len(rows[0]) - points :], rows[1][len(rows[1]) - points :]


def _surprises(values: Floats, seasons: tuple[int, ...]) -> Floats:
    """What neither season nor memory foresaw, by rank, as normal numbers."""
    from scipy.special import ndtri

    left = values - values.mean()
    for length in seasons:
        if len(left) >= 3 * length:
            phase = np.arange(len(left)) % length
            left = left - (np.bincount(phase, left) / np.bincount(phase))[phase]
    left = _innovations(left)
    ranks = np.argsort(np.argsort(left, kind="stable"), kind="stable")
    return np.asarray(ndtri((ranks + 0.5) / len(left))) if np.ptp(left) > 0 else np.zeros(len(left))


def _innovations(values: Floats) -> Floats:
    """Residuals of the autoregression that Akaike's criterion prefers."""
    most = min(ORDERS, len(values) // 8)
    points = len(values) - most
    lagged = np.column_stack([values[most - lag : len(values) - lag] for lag in range(1, most + 1)])
    target = values[most:]
    best, left = np.inf, np.asarray(target - target.mean(), dtype=np.float64)
    for order in range(most + 1):
        design = np.column_stack([np.ones(points), lagged[:, :order]])
        residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
        power = float(residual @ residual) / points
        score = points * np.log(power) + 2 * order if power > 0 else -np.inf
        if score < best:
            best, left = score, residual
    return left


def _shuffled(values: Floats, block: int, random: np.random.Generator) -> Floats:
    """`PERMUTATIONS` copies whose blocks stand in another order: (copy, time)."""
    count = len(values) // block
    whole = count * block
    order = random.random((PERMUTATIONS, count)).argsort(axis=1)
    blocks = values[:whole].reshape(count, block)[order].reshape(PERMUTATIONS, whole)
    return np.hstack([blocks, np.tile(values[whole:], (PERMUTATIONS, 1))])


def _at_lags(a: Floats, rows: Floats, max_lag: int) -> Floats:
    """Correlation of a(t) with rows(t + lag): (row, lag)."""
    points = len(a)
    scale = np.sqrt((a @ a) * (rows * rows).sum(axis=1))
    scale = np.where(scale > 0, scale, 1.0)
    columns = [
        (rows[:, max(0, lag) : points + min(0, lag)] @ a[max(0, -lag) : points - max(0, lag)]) / scale
        for lag in range(-max_lag, max_lag + 1)
    ]
    return np.column_stack(columns)
