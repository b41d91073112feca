"""Why spend changed: volume, mix, tokens per request and price, in dollars that add up to the change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial, fsum
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Kind
from analytics.spans import When
from analytics.spend import Columns, bounds, reach, spend
from analytics.tabled import Tabled
from store.errors import NoRows, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

FACTORS = ("volume", "mix", "coverage", "tokens", "price")
DRIVERS = (*FACTORS, "other")
MEANS = {
    "volume": "more or fewer requests in all",
    "mix": "requests moved between segments",
    "coverage": "more or fewer requests have a known price",
    "tokens": "longer or shorter requests",
    "price": "dollars per token",
    "other": "costs without a request",
}
ADVICE = {
    "volume": "More requests in all: ask whether they are wanted; retries and loops are the usual suspects.",
    "mix": "Requests moved between segments: see which segment grew, and whether a cheaper one would do.",
    "coverage": "Prices became known, or unknown: look at `quality.check` before anything else.",
    "tokens": "Requests changed in length: look at prompts, contexts and limits of output.",
    "price": "Dollars per token changed: a price, a discount, or the share from the cache.",
    "other": "Costs without a request: credits, fees or a bill that was imported.",
}


@dataclass(frozen=True, repr=False)
class CostDrivers(Explained, Tabled):
    """What moved spend from one span to the next.

    `table` has one row per segment, the largest change first: the dimensions, `before_usd`, `cost_usd`, `delta_usd`,
    and the part of `delta_usd` that each driver moved: `volume_usd` (requests in all), `mix_usd` (the segment's share
    of them), `coverage_usd` (the share of its requests whose price is known), `tokens_usd` (tokens per request),
    `price_usd` (dollars per token) and `other_usd` (costs without a request, credits for example). Each row and each
    column adds up. `before` and `now` say in words what was compared.
    """

    table: pl.DataFrame
    by: tuple[str, ...]
    before: str
    now: str
    kind: Kind = "polars"

    @property
    def before_usd(self) -> float:
        """Spend of the span before."""
        return fsum(self.table["before_usd"])

    @property
    def cost_usd(self) -> float:
        """Spend of the span."""
        return fsum(self.table["cost_usd"])

    @property
    def delta_usd(self) -> float:
        """The change, the sum of all drivers."""
        return fsum(self.table["delta_usd"])

    def effects(self) -> pl.DataFrame:
        """One row per driver, the strongest first: `driver`, `usd`, `meaning`."""
        sums = [fsum(self.table[f"{name}_usd"]) for name in DRIVERS]
        made = pl.DataFrame({"driver": DRIVERS, "effect_usd": sums, "meaning": [MEANS[name] for name in DRIVERS]})
        return made.sort(pl.col("effect_usd").abs(), descending=True, maintain_order=True)

    def plot(self) -> Figure:
        """A waterfall from the spend before to the spend now, one step a driver."""
        from analytics.charts import waterfall

        return waterfall(self)

    def sentence(self) -> str:
        """The change, its strongest drivers, and the segment that moved most."""
        growth = self.cost_usd / self.before_usd - 1 if self.before_usd > 0 else None
        changed = f" ({words.change(growth)})" if growth is not None else ""
        said = f"Spend went from {words.usd(self.before_usd)} to {words.usd(self.cost_usd)}{changed}"
        strong = self.effects().filter(pl.col("effect_usd") != 0).head(2)
        if strong.is_empty():
            return f"{said}; nothing moved it."
        parts = [f"{name} {_signed(usd)}" for name, usd in strong.select("driver", "effect_usd").iter_rows()]
        first = self.table.row(0, named=True)
        segment = f"{'/'.join(self.by)} {'/'.join(str(first[dim]) for dim in self.by)}"
        return f"{said}: {' and '.join(parts)}; most of it in {segment}, {_signed(first['delta_usd'])}."

    def grounds(self) -> Grounds:
        """The two spans, how exact the split is, and which lever to pull."""
        strongest = str(self.effects()["driver"][0])
        return Grounds(
            f"From the spend of {len(self.table)} segments by {', '.join(self.by)} in two spans.",
            "The parts add up to the change exactly; how a joint change is shared between drivers is a convention.",
            f"{ADVICE[strongest]}",
        )

    def picture(self) -> str:
        """What each driver moved."""
        from analytics.pictures import bars

        moved = self.effects().filter(pl.col("effect_usd") != 0)
        effects = moved["effect_usd"].to_list()
        return bars(moved["driver"].to_list(), effects, [_signed(one) for one in effects], self.sentence())

    def tables(self) -> list[pl.DataFrame]:
        """The drivers, and the segments."""
        return [self.effects(), self.for_people()]

    def how(self) -> str:
        """What was compared, and how the change was split."""
        return f"{self.before} against {self.now}; Shapley values of requests x share x tokens x price."

    def report(self) -> tuple[str, Figure, pl.DataFrame, pl.DataFrame]:
        """What a report shows: a sentence, the waterfall, the drivers, the segments."""
        return self.sentence(), self.plot(), self.effects(), self.for_people()

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows: drivers that moved nothing are left out."""
        idle = [f"{name}_usd" for name in DRIVERS if not (self.table[f"{name}_usd"] != 0).any()]
        return self.table.drop(idle)


def drivers(
    frame: Frame,
    by: str | Sequence[str] = "model",
    *,
    since: When = None,
    until: When = None,
    before: Frame | None = None,
    prices: Frame | None = None,
    time_col: str = "bucket",
    cost_col: str = "total_cost",
    requests_col: str = "requests",
) -> CostDrivers:
    """Say what moved spend between two spans: requests, their mix, tokens per request, price; it adds up exactly.

    The spend of a segment is the product of all requests, its share of them, the share of those whose price is known,
    tokens per request and dollars per token. The change of a product is split by Shapley values: each factor gets the
    mean of what it moves over all orders in which the factors may change. They add up to the change, swap sign when the
    spans are swapped, take zero and negative costs, and the drivers of segments add up to those of the whole. A segment
    that is new or gone has no tokens or price to compare, so it is mix (and volume, as far as that moved); of one
    without token counts, all that is not requests is price.

    Args:
        frame: wide rows as `load.metrics` gives them: bucket, the dimensions, requests, total_cost (USD), input_tokens
            and output_tokens; cached_tokens and unpriced where known.
        by: one or several of its columns; a segment is a combination of their values.
        since: start of the span; an aware datetime, an ISO text with a zone or a timedelta before the frame's end. It
            is compared with the span of equal length before it. Default: the second half of the frame with the first.
        until: end, not included; likewise. Default: the end of the frame.
        before: a frame to compare all of `frame` with, instead; neither needs times.
        prices: list prices as `cost.what_if` takes them. Tokens of each kind then weigh what they cost beside an input
            token, so that longer answers are not taken for a higher price. Default: a token is a token.
        time_col: name of the column of times.
        cost_col: name of the column of costs.
        requests_col: name of the column of requests.

    Raises:
        NoRows: nothing in a frame or in the two spans.
        TooShort: the frame does not reach back over the span to compare with.
        ColumnMissing: a column is not there.
        ParameterInvalid: a time, cost or count cannot be used.

    Source:
        L. S. Shapley, *A value for n-person games*, 1953; for indices J. W. Sun, *Changes in energy consumption and
        energy intensity: a complete decomposition model*, Energy Economics 20, 1998. The logarithmic means of
        B. W. Ang, *The LMDI approach to decomposition analysis*, Energy Policy 33, 2005, take no change of sign.

    >>> then = pl.DataFrame({"model": ["a", "b"], "requests": [100, 100], "total_cost": [1.0, 3.0],
    ...     "input_tokens": [1000, 1000]})
    >>> now = pl.DataFrame({"model": ["a", "b"], "requests": [200, 200], "total_cost": [2.0, 3.0],
    ...     "input_tokens": [2000, 2000]})
    >>> [(name, round(usd, 6)) for name, usd, _ in drivers(now, before=then).effects().rows() if usd]
    [('volume', 3.25), ('price', -2.25)]
    """
    columns = Columns(time_col, cost_col, requests_col)
    data, dims, kind = spend(frame, by, columns, timed=before is None)
    if before is None:
        begin, stop, reaches = bounds(data, since if since is not None else _middle(data, until), until)
        start = begin - (stop - begin)
        if not reaches:
            missing = f"it does not reach back to {words.moment(start)}, so there is nothing to compare with"
            raise TooShort("the cost frame", f"{missing}. Load twice the span")
        now = data.filter((pl.col("bucket") >= begin) & (pl.col("bucket") < stop))
        then = data.filter((pl.col("bucket") >= start) & (pl.col("bucket") < begin))
        if now.is_empty() and then.is_empty():
            raise NoRows(f"the time from {words.moment(start)} to {words.moment(stop)}")
        spans = [f"{words.moment(a)} to {words.moment(b)}" for a, b in ((start, begin), (begin, stop))]
    else:
        now, then = data, spend(before, by, columns, timed=False)[0]
        spans = ["the frame before", "the frame"]
    weights = None
    if prices is not None:
        from analytics.repricing import relative_weights

        weights = relative_weights(prices)
    sums = [_sums(part, dims, weights) for part in (then, now)]
    joined = sums[0].join(sums[1], on=list(dims), how="full", coalesce=True, nulls_equal=True, suffix="_now")
    joined = joined.with_columns(pl.selectors.by_dtype(pl.Float64).fill_null(0.0))
    quantities = ("requests", "priced", "tokens", "cost")
    effects, other = decompose(
        *({name: joined[f"{name}{suffix}"].to_numpy() for name in quantities} for suffix in ("", "_now"))
    )
    table = joined.select(
        *dims,
        pl.col("cost").alias("before_usd"),
        pl.col("cost_now").alias("cost_usd"),
        (pl.col("cost_now") - pl.col("cost")).alias("delta_usd"),
        *(pl.Series(f"{name}_usd", effects[k]) for k, name in enumerate(FACTORS)),
        pl.Series("other_usd", other),
    )
    order = [pl.col("delta_usd").abs(), *(pl.col(dim) for dim in dims)]
    return CostDrivers(table.sort(order, descending=[True] + [False] * len(dims)), dims, spans[0], spans[1], kind)


def decompose(then: dict[str, Floats], now: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Split the change of each segment's cost between the factors.

    Args:
        then: arrays (segment,) of requests, priced (requests whose price is known), tokens and cost.
        now: the same, later.

    Returns:
        The effects (factor, segment) in the order of `FACTORS`, and what no request explains (segment,). Together they
        are the change of cost of each segment, to the last bits.

    >>> one = {name: np.array([1.0]) for name in ("requests", "priced", "tokens", "cost")}
    >>> [float(x) for x in decompose(one, {**one, "cost": np.array([3.0])})[0].ravel()]
    [0.0, 0.0, 0.0, 0.0, 2.0]
    """
    bare = [np.where(span["requests"] > 0, 0.0, span["cost"]) for span in (then, now)]
    tied = [{**span, "cost": span["cost"] - other} for span, other in zip((then, now), bare, strict=True)]
    old, new = _factors(*tied)
    effects, other = _shapley(old, new), bare[1] - bare[0]
    # What rounding left over goes to the largest effect, and what that is too coarse for to the smallest.
    if effects.size:
        columns = np.arange(effects.shape[1])
        sizes = np.abs(effects)
        for at in (sizes.argmax(axis=0), np.where(sizes > 0, sizes, np.inf).argmin(axis=0)):
            parts = np.vstack([now["cost"], -then["cost"], -other, -effects])
            effects[at, columns] += [fsum(column) for column in parts.T]
    return effects, other


def _factors(then: dict[str, Floats], now: dict[str, Floats]) -> tuple[Floats, Floats]:
    """The factors (factor, segment) of both spans; one that a span cannot tell is that of the other span."""
    counts = [span["requests"].sum() for span in (then, now)]
    volumes = [np.full(len(then["cost"]), count) for count in counts]
    shares = [_ratio(span["requests"], count) for span, count in zip((then, now), volumes, strict=True)]
    # A cost without a known price is a contradiction; then coverage tells nothing.
    sound = np.logical_and.reduce([(span["cost"] == 0) | (span["priced"] > 0) for span in (then, now)])
    covered = [np.where(sound, _ratio(span["priced"], span["requests"]), 1.0) for span in (then, now)]
    metered = np.logical_and.reduce([(span["cost"] == 0) | (span["tokens"] > 0) for span in (then, now)])
    lengths = [
        np.where(metered, _ratio(span["tokens"], span["requests"]), np.where(span["requests"] > 0, 1.0, np.nan))
        for span in (then, now)
    ]
    prices = [
        _ratio(span["cost"], np.where(metered, span["tokens"], span["requests"]) * cover)
        for span, cover in zip((then, now), covered, strict=True)
    ]
    pairs = [_either(*pair) for pair in (volumes, shares, covered, lengths, prices)]
    return np.array([old for old, _ in pairs]), np.array([new for _, new in pairs])


def _shapley(old: Floats, new: Floats) -> Floats:
    """Shapley values (factor, segment) of the change of the product over factors (axis 0)."""
    count = len(old)
    effects = np.zeros_like(old)
    for j in range(count):
        others = [m for m in range(count) if m != j]
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for chosen in combinations(others, size):
                held = [new[m] if m in chosen else old[m] for m in others]
                effects[j] += weight * (new[j] - old[j]) * np.prod(held, axis=0)
    return effects


def _sums(data: pl.DataFrame, dims: tuple[str, ...], weights: pl.DataFrame | None) -> pl.DataFrame:
    """Requests, priced requests, weighted tokens and cost of each segment."""
    fresh = pl.col("input_tokens") - pl.min_horizontal("input_tokens", "cached_tokens")
    tokens = fresh + pl.min_horizontal("input_tokens", "cached_tokens") + pl.col("output_tokens")
    if weights is not None and "model" in data.columns:
        data = data.join(weights, on="model", how="left").with_columns(pl.col("w_cached", "w_output").fill_null(1.0))
        cached = pl.min_horizontal("input_tokens", "cached_tokens") * pl.col("w_cached")
        tokens = fresh + cached + pl.col("output_tokens") * pl.col("w_output")
    return data.group_by(dims).agg(
        pl.col("requests").sum().cast(pl.Float64),
        (pl.col("requests") - pl.col("unpriced")).clip(0).sum().cast(pl.Float64).alias("priced"),
        tokens.sum().cast(pl.Float64).alias("tokens"),
        pl.col("total_cost").sum().cast(pl.Float64).alias("cost"),
    )


def _middle(data: pl.DataFrame, until: When) -> When:
    """The start of the second half of the frame, on a bucket."""
    first, end = reach(data)
    _, stop, _ = bounds(data, None, until) if until is not None else (first, end, False)
    buckets = data.filter(pl.col("bucket") < stop)["bucket"].unique().sort()
    later = buckets.filter(buckets >= first + (stop - first) / 2)
    return later[0] if len(later) else first


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """The quotient, NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom != 0, top / np.where(bottom != 0, bottom, 1.0), np.nan))


def _either(old: Floats, new: Floats) -> tuple[Floats, Floats]:
    """Both, the unknown in one taken from the other, 0 where neither knows."""
    return np.nan_to_num(np.where(np.isnan(old), new, old)), np.nan_to_num(np.where(np.isnan(new), old, new))


def _signed(usd: float) -> str:
    return f"{'+' if usd > 0 else ''}{words.usd(usd)}"
