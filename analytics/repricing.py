"""What the requests of a span would cost at other prices, on another model, or with more or fewer tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import Kind, polars
from analytics.spend import Columns, spend
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows, ParameterInvalid, UnknownName

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

RATES = ("input_usd_per_m", "cached_usd_per_m", "output_usd_per_m")
MILLION = 1e6


@dataclass(frozen=True, repr=False)
class WhatIf(Explained, Tabled):
    """What was spent, and what the same requests would cost.

    `table` has one row per combination of `by`, the largest change first: `requests`, `input_tokens`, `output_tokens`,
    `cost_usd` (what they cost), `would_cost_usd`, `delta_usd`, `delta_pct` (per cent), and `unpriced`: requests that
    have no tokens, or no rate, and are left as they are in both. `change` says the change in words.
    """

    table: pl.DataFrame
    by: tuple[str, ...]
    change: str
    kind: Kind = "polars"

    @property
    def cost_usd(self) -> float:
        """What was spent."""
        return float(self.table["cost_usd"].sum())

    @property
    def would_cost_usd(self) -> float:
        """What it would cost."""
        return float(self.table["would_cost_usd"].sum())

    def plot(self) -> Figure:
        """Spend as it was and as it would be, the largest changes on top."""
        from analytics.charts import compared

        return compared(self)

    def sentence(self) -> str:
        """What was spent, what it would be, and what could not be priced."""
        cost, would = self.cost_usd, self.would_cost_usd
        changed = f" ({words.change(would / cost - 1)})" if cost > 0 else ""
        text = f"{self.change}: {words.usd(would)} instead of {words.usd(cost)}{changed}."
        left = int(self.table["unpriced"].sum())
        if left:
            every = int(self.table["requests"].sum())
            text += (
                f" {words.amount(left)} of {words.amount(every)} requests have no rate or tokens and stay as they are."
            )
        return text

    def grounds(self) -> Grounds:
        """The requests, what the sum takes for granted, and what to try."""
        saved = self.cost_usd - self.would_cost_usd
        return Grounds(
            f"From {words.amount(int(self.table['requests'].sum()))} requests and their tokens.",
            "Exact for the same tokens; another model writes longer or shorter answers, which nobody knows before.",
            f"Try it on a share of the traffic before you count on the {words.usd(saved)}."
            if saved > 0
            else "Leave it: it saves nothing.",
        )

    def picture(self) -> str:
        """What would change."""
        from analytics.pictures import bars

        names = ["/".join(str(part) for part in row) for row in self.table.select(self.by).iter_rows()]
        moved = self.table["delta_usd"].to_list()
        return bars(names, moved, [words.usd(one) for one in moved], self.sentence())

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        return self.table if self.table["unpriced"].sum() else self.table.drop("unpriced")


def what_if(
    frame: Frame,
    prices: Frame | None = None,
    *,
    to: str | None = None,
    of: str | Sequence[str] | None = None,
    requests: float = 1.0,
    input_tokens: float = 1.0,
    output_tokens: float = 1.0,
    cached_share: float | None = None,
    by: str | Sequence[str] = "model",
    cost_col: str = "total_cost",
    requests_col: str = "requests",
) -> WhatIf:
    """Work out what the requests of a frame would cost after a change: another model, other prices, other lengths.

    Prices are linear in tokens here: those not from the cache at the input rate, cached ones at theirs, output
    (reasoning included) at the output rate. Rates that depend on the size or time of a request need the requests
    themselves: `gaugebook prices what-if` reads them from the store and is exact.

    Args:
        frame: wide rows as `load.metrics` gives them: model, requests, total_cost (USD), input_tokens (cached ones
            included), cached_tokens, output_tokens.
        prices: one row a model: `model`, `input_usd_per_m`, `output_usd_per_m` and, where it differs from input,
            `cached_usd_per_m`: USD for a million tokens. Only a change of `requests` alone needs none.
        to: model whose rates are applied. Default: each model's own, as `prices` has them.
        of: the models that the change is for. Default: all; the others stay as they are.
        requests: factor of the number of requests.
        input_tokens: factor of input tokens per request.
        output_tokens: factor of output tokens per request.
        cached_share: share of input tokens from the cache, 0 to 1. Default: as it was.
        by: one or several columns for the table.
        cost_col: name of the column of costs.
        requests_col: name of the column of requests.

    Raises:
        NoRows: nothing in the frame or in `prices`.
        ColumnMissing: a column is not there.
        UnknownName: `to` has no price, or `of` is not in the frame.
        ParameterInvalid: a factor, share, rate, cost or count cannot be used.

    >>> rows = pl.DataFrame({"model": ["big"], "requests": [10], "total_cost": [5.0], "input_tokens": [1_000_000],
    ...     "cached_tokens": [0], "output_tokens": [100_000]})
    >>> list_prices = pl.DataFrame({"model": ["small"], "input_usd_per_m": [1.0], "output_usd_per_m": [4.0]})
    >>> what_if(rows, list_prices, to="small").would_cost_usd
    1.4
    """
    dims = (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    data, dims, kind = spend(frame, dims, Columns(cost=cost_col, requests=requests_col), timed=False)
    factors = {"requests": requests, "input_tokens": input_tokens, "output_tokens": output_tokens}
    for name, factor in factors.items():
        if not (isinstance(factor, int | float) and isfinite(factor) and factor >= 0):
            raise ParameterInvalid(name, f"expected a factor of zero or more, such as 1.2, got {factor!r}")
    if cached_share is not None and not 0 <= cached_share <= 1:
        raise ParameterInvalid("cached_share", f"expected a share between 0 and 1, got {cached_share!r}")
    plain = to is None and prices is None and cached_share is None and input_tokens == output_tokens == 1
    if not plain and prices is None:
        raise ParameterInvalid("prices", f"needed for this change: a frame of model, {', '.join(RATES)}")
    if (not plain or of is not None) and "model" not in data.columns:
        raise ColumnMissing("model", data.columns)
    data = data.with_columns(_chosen(data, of).alias("chosen"), pl.col("total_cost").fill_null(0.0))
    if plain:
        would, priced = pl.col("total_cost") * requests, pl.lit(True)  # noqa: FBT003 - a literal
    else:
        assert prices is not None
        data = _rated(data, rates(prices), to)
        fresh, cached = _inputs(cached_share)
        per_m = fresh * pl.col("input_usd_per_m") + cached * pl.col("cached_usd_per_m")
        would = (input_tokens * per_m + output_tokens * pl.col("output_tokens") * pl.col("output_usd_per_m")) / MILLION
        would = would * requests
        priced = pl.col("input_usd_per_m").is_not_null() & (pl.col("input_tokens") + pl.col("output_tokens") > 0)
    moved = pl.col("chosen") & priced
    told = data.with_columns(
        pl.when(moved).then(would).otherwise("total_cost").alias("would"),
        pl.when(pl.col("chosen") & ~priced).then("requests").otherwise(0).alias("left"),
    )
    table = told.group_by(dims).agg(
        pl.col("requests", "input_tokens", "output_tokens").sum(),
        pl.col("total_cost").sum().alias("cost_usd"),
        pl.col("would").sum().alias("would_cost_usd"),
        (pl.col("would") - pl.col("total_cost")).sum().alias("delta_usd"),
        pl.col("left").sum().alias("unpriced"),
    )
    ratio = pl.col("would_cost_usd") / pl.col("cost_usd")
    table = table.select(
        *dims, "requests", "input_tokens", "output_tokens", "cost_usd", "would_cost_usd", "delta_usd",
        pl.when(pl.col("cost_usd") > 0).then(100 * (ratio - 1)).alias("delta_pct"), "unpriced",
    )  # fmt: skip
    order = [pl.col("delta_usd").abs(), *(pl.col(dim) for dim in dims)]
    said = _said(to, of, factors, cached_share)
    return WhatIf(table.sort(order, descending=[True] + [False] * len(dims)), dims, said, kind)


def rates(prices: Frame) -> pl.DataFrame:
    """Check a price list: one row a model, USD for a million tokens; cached tokens cost as input where it says nothing.

    >>> rates(pl.DataFrame({"model": ["m"], "input_usd_per_m": [2], "output_usd_per_m": [8]})).row(0)
    ('m', 2.0, 2.0, 8.0)
    """
    data, _ = polars(prices)
    for name in ("model", "input_usd_per_m", "output_usd_per_m"):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the price list")
    if "cached_usd_per_m" not in data.columns:
        data = data.with_columns(pl.lit(None, pl.Float64).alias("cached_usd_per_m"))
    for name in RATES:
        if not (data[name].dtype.is_numeric() or data[name].dtype == pl.Null):
            raise ParameterInvalid(name, f"expected USD for a million tokens as numbers, got {data[name].dtype}")
    made = data.select("model", pl.col(RATES).cast(pl.Float64).fill_nan(None))
    made = made.with_columns(pl.col("cached_usd_per_m").fill_null(pl.col("input_usd_per_m")))
    bad = made.filter(pl.any_horizontal((pl.col(RATES) < 0) | pl.col(RATES).is_infinite()))
    if not bad.is_empty():
        raise ParameterInvalid("prices", f"model {bad['model'][0]!r} has a rate that is negative or infinite")
    if made["model"].is_duplicated().any():
        twice = made.filter(pl.col("model").is_duplicated())["model"][0]
        raise ParameterInvalid("prices", f"model {twice!r} has more than one row; keep the one that holds")
    return made


def relative_weights(prices: Frame) -> pl.DataFrame:
    """What a cached and an output token of each model cost beside an input token: model, w_cached, w_output.

    >>> relative_weights(pl.DataFrame({"model": ["m"], "input_usd_per_m": [2], "output_usd_per_m": [8]})).row(0)
    ('m', 1.0, 4.0)
    """
    known = rates(prices).filter(pl.col("input_usd_per_m") > 0)
    beside = [
        (pl.col(f"{kind}_usd_per_m") / pl.col("input_usd_per_m")).alias(f"w_{kind}") for kind in ("cached", "output")
    ]
    return known.select("model", *beside)


def _chosen(data: pl.DataFrame, of: str | Sequence[str] | None) -> pl.Expr:
    if of is None:
        return pl.lit(value=True)
    names = [of] if isinstance(of, str) else list(of)
    present = [str(name) for name in data["model"].unique().drop_nulls().sort()]
    for name in names:
        if name not in present:
            raise UnknownName("model", name, present)
    return pl.col("model").is_in(names)


def _rated(data: pl.DataFrame, priced: pl.DataFrame, to: str | None) -> pl.DataFrame:
    """The rows with the rates that are to hold for them, null where there are none."""
    if to is None:
        return data.join(priced, on="model", how="left")
    if to not in priced["model"]:
        raise UnknownName("price of", to, [str(name) for name in priced["model"]])
    row = priced.filter(model=to).row(0, named=True)
    return data.with_columns(pl.lit(row[name], pl.Float64).alias(name) for name in RATES)


def _inputs(cached_share: float | None) -> tuple[pl.Expr, pl.Expr]:
    """Input tokens not from the cache, and those from it."""
    if cached_share is None:
        cached = pl.min_horizontal("input_tokens", "cached_tokens")
        return pl.col("input_tokens") - cached, cached
    return pl.col("input_tokens") * (1 - cached_share), pl.col("input_tokens") * cached_share


def _said(to: str | None, of: str | Sequence[str] | None, factors: dict[str, float], cached: float | None) -> str:
    which = "All requests" if of is None else f"Requests of {of if isinstance(of, str) else ', '.join(of)}"
    parts = [f"on {to}"] if to else []
    parts += [f"{factor:g} x {name.replace('_', ' ')}" for name, factor in factors.items() if factor != 1]
    parts += [f"{words.share(cached)} of input cached"] if cached is not None else []
    return f"{which} {', '.join(parts) if parts else 'at these prices'}"
