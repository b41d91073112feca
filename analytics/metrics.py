"""How wrong forecasts were: errors of points and of intervals, by series and origin, and over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

ONE = "y_hat"  # column of forecasts that is measured
POINTS = ("mae", "rmse", "smape", "mase", "rmsse", "wape", "bias")
SPREADS = ("pinball", "scaled_crps", "msis", "coverage")
METRICS = (*POINTS, *SPREADS)
POOLED = ("wape", "scaled_crps")  # quotients of sums: over many series the sums are taken first


def measured(
    made: pl.DataFrame, past: pl.DataFrame, metrics: Sequence[str], level: Sequence[float], season: int
) -> pl.DataFrame:
    """The metrics of each series at each origin, by utilsforecast; MSIS on top of its interval score.

    Args:
        made: `unique_id, cutoff, ds, y, y_hat, y_hat-lo-80, ...`.
        past: `unique_id, ds, y`, the whole history on its grid, sorted; scales come from what lies up to a cutoff.
        metrics: which of METRICS: mae, rmse, bias (forecast minus actual) in the unit of the values; smape between 0
            and 1; mase, rmsse against the naive of one `season` before the origin (Hyndman and Koehler, International
            Journal of Forecasting 22, 2006); wape; pinball, the mean loss over the quantiles of all levels and the
            median; scaled_crps, twice that over the mean size; msis, the mean scaled interval score of the widest level
            (Gneiting and Raftery, JASA 102, 2007); coverage, one column a level.
        level: levels in per cent that `made` has bounds of.
        season: steps.

    Returns:
        `unique_id, cutoff` and a column each; null where a series has no scale or no bounds.

    >>> rows = {"unique_id": ["a"] * 2, "cutoff": [2, 2], "ds": [3, 4], "y": [3.0, 4.0], "y_hat": [3.0, 5.0]}
    >>> past = pl.DataFrame({"unique_id": ["a"] * 4, "ds": [1, 2, 3, 4], "y": [1.0, 2.0, 3.0, 4.0]})
    >>> measured(pl.DataFrame(rows), past, ("mae", "mase", "bias"), (), 1).row(0)
    ('a', 2, 0.5, 0.5, 0.5)
    """
    keys = made.select("unique_id", "cutoff").unique().sort("unique_id", "cutoff")
    out = keys
    for name, frame in _each(made, past, metrics, level, season).items():
        out = out.join(frame.rename({ONE: name}), on=["unique_id", "cutoff"], how="left")
    columns = pl.selectors.float()
    return out.with_columns(pl.when(columns.is_finite()).then(columns)).sort("unique_id", "cutoff")


def pooled(made: pl.DataFrame, each: pl.DataFrame, metrics: Sequence[str], level: Sequence[float]) -> dict[str, Any]:
    """The metrics over all series and origins: means, but WAPE and scaled CRPS from sums over everything."""
    found = {name: each[name].mean() for name in each.columns if name not in ("unique_id", "cutoff")}
    everything = made.drop("cutoff").with_columns(pl.lit("all").alias("unique_id"))
    for name in POOLED:
        if name in metrics:
            frame = _each(everything, everything, (name,), level, 1)[name]
            value = frame[ONE][0] if len(frame) else None
            found[name] = value if value is not None and np.isfinite(value) else None
    return found


def columns(metrics: Sequence[str], level: Sequence[float]) -> list[str]:
    """The columns that these metrics give.

    >>> columns(("mae", "coverage"), (80, 95))
    ['mae', 'coverage_80', 'coverage_95']
    """
    split = (["coverage_" + f"{one:g}" for one in level] if name == "coverage" else [name] for name in metrics)
    return [name for names in split for name in names]


def _each(
    made: pl.DataFrame, past: pl.DataFrame, metrics: Sequence[str], level: Sequence[float], season: int
) -> dict[str, pl.DataFrame]:
    losses = _losses()

    grid: dict[str, Any] = {"models": [ONE], "seasonality": season, "train_df": past}
    # A bound that is not known leaves the whole row out of what is said of intervals.
    spread = made.drop_nulls([name for name in made.columns if name.startswith((f"{ONE}-lo-", f"{ONE}-hi-"))])
    quantiles, names = _quantiles(level)
    found: dict[str, pl.DataFrame] = {}
    for name in metrics:
        if name in ("mae", "rmse", "smape", "wape", "bias"):
            found[name] = getattr(losses, name)(made, models=[ONE])
        elif name in ("mase", "rmsse"):
            found[name] = getattr(losses, name)(made, **grid)
        elif not level:
            continue
        elif name in ("pinball", "scaled_crps"):
            loss = losses.mqloss if name == "pinball" else losses.scaled_crps
            found[name] = loss(spread, models={ONE: names}, quantiles=quantiles)
        elif name == "msis":
            found[name] = _scaled(
                losses.winkler_score(spread, models=[ONE], level=_plain(max(level))), made, past, season
            )
        elif name == "coverage":
            for one in level:
                found[f"coverage_{one:g}"] = losses.coverage(spread, models=[ONE], level=_plain(one))
    return found


def _losses() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a docstring of it has an escape that Python warns of when it compiles it
        from utilsforecast import losses
    return losses


def _scaled(score: pl.DataFrame, made: pl.DataFrame, past: pl.DataFrame, season: int) -> pl.DataFrame:
    """A score in parts of the in-sample error of the seasonal naive, as MASE is."""
    losses = _losses()

    before = past.join(made.select("unique_id", "cutoff").unique(), on="unique_id").filter(
        pl.col("ds") <= pl.col("cutoff")
    )
    lagged = before.with_columns(pl.col("y").shift(season).over("unique_id", "cutoff").alias("scale"))
    scale = losses.mae(lagged, models=["scale"])
    joined = score.join(scale, on=["unique_id", "cutoff"])
    return joined.select("unique_id", "cutoff", pl.col(ONE) / pl.col("scale"))


def _quantiles(level: Sequence[float]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[str]]:
    pairs = [(0.5, ONE)]
    for one in level:
        pairs += [(0.5 - one / 200, f"{ONE}-lo-{one:g}"), (0.5 + one / 200, f"{ONE}-hi-{one:g}")]
    pairs.sort()
    return np.array([q for q, _ in pairs]), [name for _, name in pairs]


def _plain(level: float) -> Any:
    return int(level) if level == int(level) else level
