"""What a token of each model has cost: rates worked out from what was paid, contracts and discounts included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics.frames import Floats
from analytics.spend import Columns, spend
from store.errors import TooShort

if TYPE_CHECKING:
    from analytics.frames import Frame

KINDS = ("fresh", "cached_tokens", "output_tokens")
RATES = ("input_usd_per_m", "cached_usd_per_m", "output_usd_per_m")
FEWEST = 8  # rows a model, for three rates and a little to spare
ALIKE = 1e3  # of the condition number of scaled tokens: above it, their kinds cannot be told apart
MILLION = 1e6


def rates_paid(frame: Frame, *, cost_col: str = "total_cost", requests_col: str = "requests") -> pl.DataFrame:
    """Work out the rates of each model from what its requests cost, as `cost.what_if` takes them.

    What requests cost is linear in their tokens, so rates follow by least squares from buckets with different mixes;
    none is negative. A model that every bucket uses alike has no rates that could be told.

    Args:
        frame: wide rows as `load.metrics` gives them: model, requests, total_cost, input_tokens (cached ones included),
            cached_tokens, output_tokens, unpriced.
        cost_col: name of the column of costs.
        requests_col: name of the column of requests.

    Returns:
        `model`, `input_usd_per_m`, `cached_usd_per_m` (null where nothing was cached), `output_usd_per_m`: USD for a
        million tokens; `explained`: the share of what was paid that they explain, 1 where prices were linear and held.

    Raises:
        NoRows: nothing in the frame.
        TooShort: no model has rates that can be told.
        ColumnMissing, ParameterInvalid: what came in cannot be used.

    Source:
        C. L. Lawson, R. J. Hanson, *Solving Least Squares Problems*, 1974, chapter 23 (non-negative).

    >>> tokens = {"input_tokens": [k * 1000 for k in (1, 2, 5, 3, 9, 4, 7, 6)], "output_tokens": [300] * 4 + [100] * 4}
    >>> rows = pl.DataFrame({"model": "m", "requests": 1, "cached_tokens": 0, **tokens})
    >>> rows = rows.with_columns(total_cost=(2.0 * pl.col("input_tokens") + 8.0 * pl.col("output_tokens")) / 1e6)
    >>> rates_paid(rows).select("model", pl.col(*RATES).round(6)).row(0)
    ('m', 2.0, None, 8.0)
    """
    data, _, _ = spend(frame, "model", Columns(cost=cost_col, requests=requests_col), timed=False)
    known = data.filter((pl.col("unpriced") == 0) & pl.col("total_cost").is_not_null())
    fresh = (pl.col("input_tokens") - pl.min_horizontal("input_tokens", "cached_tokens")).alias("fresh")
    known = known.with_columns(fresh)
    made = []
    for (model,), rows in known.group_by("model", maintain_order=True):
        tokens = rows.select(KINDS).to_numpy().astype(np.float64)
        made.append((model, *_fitted(tokens, rows["total_cost"].to_numpy())))
    schema = {"model": pl.String, **dict.fromkeys((*RATES, "explained"), pl.Float64)}
    table = pl.DataFrame(made, schema=schema, orient="row").fill_nan(None)
    told = table.drop_nulls("explained").sort("model")
    if told.is_empty():
        raise TooShort("the span", "no model has eight hours with a known price, which its rates could be told from")
    return told


def _fitted(tokens: Floats, cost: Floats) -> tuple[float, ...]:
    """The three rates for a million tokens, and what they explain; NaN where they cannot be told."""
    nothing = (np.nan,) * 4
    used = tokens.sum(axis=0) > 0
    if len(cost) < FEWEST or not used[[0, 2]].all() or cost.sum() <= 0:
        return nothing
    from scipy.optimize import nnls

    scale = np.sqrt((tokens[:, used] ** 2).sum(axis=0))
    if np.linalg.cond(tokens[:, used] / scale) > ALIKE:
        return nothing
    found, _ = nnls(tokens[:, used] / scale, cost)
    rates = np.full(3, np.nan)
    rates[used] = found / scale * MILLION
    missed = np.abs(cost - tokens[:, used] @ (found / scale)).sum() / cost.sum()
    return (*(float(rate) for rate in rates), float(max(0.0, 1 - missed)))
