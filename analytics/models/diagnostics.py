"""What a fitted textbook model says of itself: its parameters, and whether its errors look like noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analytics.frames import Floats, Kind, native, panel
from analytics.models.textbook import fit_ets, fit_sarimax, fit_theta
from analytics.seasons import candidate_lengths, given, judge, known
from store.errors import TooShort, UnknownName

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

FITS: dict[str, Callable[[Floats, tuple[int, ...]], Any]] = {"ets": fit_ets, "sarimax": fit_sarimax, "theta": fit_theta}
FEWEST = 12  # points
CRITERIA = ("aic", "bic", "sigma")
TESTS = ("ljung_box_p", "jarque_bera_p", "heteroskedasticity_p")
LAGS = 10  # of the test for autocorrelation, two seasons where there is one
DOUBT = 0.05  # a p-value below this is worth a word


@dataclass(frozen=True, repr=False)
class Diagnostics:
    """One row a series in `table`, and the one-step errors of each fit in `residuals` (`unique_id, step, residual`).

    `table` has `unique_id, model, converged, aic, bic, sigma` (of one-step errors, in the unit of the values), and
    p-values: `ljung_box_p` (errors uncorrelated), `jarque_bera_p` (normal), `heteroskedasticity_p` (of equal spread);
    `parameters` is a text. Null where a model does not tell.
    """

    table: pl.DataFrame
    residuals: pl.DataFrame
    kind: Kind
    id_col: str

    def to_polars(self) -> pl.DataFrame:
        """`table` as polars."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.table.to_pandas()

    def to_native(self) -> Frame:
        """`table` as the kind of frame that came in."""
        return native(self.table, self.kind)

    def sentence(self) -> str:
        """In how many series the errors are not the noise that the model takes them for."""
        told = self.table.drop_nulls("ljung_box_p")
        if told.is_empty():
            return f"{len(self.table)} series fitted; this model gives no one-step errors to test."
        bad = told.filter(pl.col("ljung_box_p") < DOUBT).height
        return f"{len(told)} series fitted; in {bad} of them the errors are still correlated at 5 %."

    def plot(self, *, most: int = 4) -> Figure:
        """The one-step errors of the first `most` series."""
        from analytics.charts.theme import BLUE, dressed, panels, trace

        names = self.table[self.id_col].head(most).to_list()
        figure = panels(names)
        for row, name in enumerate(names, start=1):
            own = self.residuals.filter(pl.col(self.id_col) == name)
            style = {"mode": "markers", "marker": {"color": BLUE, "size": 3}}
            trace(figure, row, "one-step error", own["step"].to_list(), own["residual"].to_list(), **style)
        dressed(figure, "Errors one step ahead", "", self.sentence())
        return figure.update_layout(height=160 + 200 * len(names))

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.table

    def __repr__(self) -> str:
        return f"<Diagnostics: {self.sentence()}>"

    def _repr_html_(self) -> str:
        from analytics.render import block, table

        return block(self.sentence(), table(self.table))


def diagnose(
    frame: Frame,
    engine: str = "ets",
    *,
    season_length: int | Sequence[int] | None = None,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Diagnostics:
    """Fit a textbook model to every series of a long frame, and test what it leaves over.

    Ljung and Box, Biometrika 65, 1978; Jarque and Bera, Economics Letters 6, 1980; the first third of the errors
    against the last for their spread.

    Args:
        frame: long frame, polars or pandas; see `analytics.frames.panel`.
        engine: "ets", "sarimax" or "theta".
        season_length: season lengths in steps. Default: those that `seasonality` confirms.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        UnknownName: no such model.
        TooShort: a series has fewer than 12 points.
        NoRows, ColumnMissing, ParameterInvalid: as `panel` does.

    >>> noise = np.random.default_rng(0).normal(10, 1, 80)
    >>> made = diagnose(pl.DataFrame({"ds": range(80), "y": noise}), "ets")
    >>> bool(made.table["ljung_box_p"][0] > 0.05), made.table["model"][0]
    (True, 'ETS(A,Ad,N)')
    """
    if engine not in FITS:
        raise UnknownName("textbook model", engine, FITS)
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    rows, left = [], []
    for name, values in zip(data.ids, data.values, strict=True):
        series = known(values)
        if len(series) < FEWEST:
            raise TooShort(f"series {name!r}", f"a fit needs {FEWEST} points, it has {len(series)}. Load a longer span")
        asked = given(season_length)
        seasons = asked or tuple(m for m, _, _, ok in judge(series, candidate_lengths(data.grid, series)) if ok)
        fitted = FITS[engine](series, seasons)
        errors = _residuals(fitted)
        rows.append({id_col: name, **_said(fitted, engine, errors, seasons)})
        left.append(pl.DataFrame({id_col: [name] * len(errors), "step": np.arange(len(errors)), "residual": errors}))
    kept = pl.concat(left).cast({"step": pl.Int64, "residual": pl.Float64})
    numbers = dict.fromkeys((*CRITERIA, *TESTS), pl.Float64)
    table = pl.DataFrame(rows, schema_overrides={"converged": pl.Boolean, **numbers}, infer_schema_length=None)
    return Diagnostics(table, kept, data.kind, id_col)


def _residuals(fitted: Any) -> Floats:
    """One-step errors in the unit of the values; those of the start, which depend on guesses, left out."""
    if not hasattr(fitted, "resid"):
        return np.zeros(0)
    errors = np.asarray(fitted.resid, dtype=float) * getattr(fitted, "scale_of_values", 1.0)
    burn = int(getattr(fitted, "loglikelihood_burn", 0) or 0)
    return errors[burn:][np.isfinite(errors[burn:])]


def _said(fitted: Any, engine: str, errors: Floats, seasons: tuple[int, ...]) -> dict[str, Any]:
    lags = min(2 * seasons[0] if seasons else LAGS, len(errors) // 3)
    tested = len(errors) >= FEWEST and float(np.ptp(errors)) > 0
    said: dict[str, Any] = {
        "model": _called(fitted, engine),
        "converged": bool(getattr(fitted, "mle_retvals", {}).get("converged", True)) if engine != "theta" else None,
        "aic": _number(getattr(fitted, "aic", None), fitted),
        "bic": _number(getattr(fitted, "bic", None), fitted),
        "sigma": float(errors.std()) if len(errors) else None,
        **dict.fromkeys(TESTS),
        "parameters": _parameters(fitted),
    }
    if tested:
        from scipy.stats import f as fisher
        from statsmodels.stats.diagnostic import acorr_ljungbox
        from statsmodels.stats.stattools import jarque_bera

        third = len(errors) // 3
        ratio = float((errors[-third:] ** 2).sum() / max(float((errors[:third] ** 2).sum()), 1e-300))
        upper = float(fisher.sf(ratio, third, third))
        said["ljung_box_p"] = float(acorr_ljungbox(errors, lags=[lags])["lb_pvalue"].iloc[0])
        said["jarque_bera_p"] = float(jarque_bera(errors)[1])
        said["heteroskedasticity_p"] = 2 * min(upper, 1 - upper)
    return said


def _called(fitted: Any, engine: str) -> str:
    if engine == "ets":
        return f"ETS(A,Ad,{'A' if fitted.model.seasonal else 'N'})"
    if engine == "theta":
        return "Theta"
    order, seasonal = fitted.model.order, fitted.model.seasonal_order
    waves = f" with waves of {' and '.join(map(str, fitted.waves))}" if fitted.waves else ""
    return f"ARIMA{order}{seasonal if seasonal[-1] else ''}{waves}".replace(" ", "", 2)


def _parameters(fitted: Any) -> str:
    params = fitted.params
    names = getattr(fitted, "param_names", None) or list(getattr(params, "index", range(len(params))))
    pairs = [
        (name, value) for name, value in zip(names, np.asarray(params), strict=False) if "initial" not in str(name)
    ]
    return ", ".join(f"{name} {value:.4g}" for name, value in pairs)


def _number(criterion: object, fitted: Any) -> float | None:
    """An information criterion in the unit of the values, where the fit was of values in another."""
    if not isinstance(criterion, int | float) or not np.isfinite(criterion):
        return None
    scale = getattr(fitted, "scale_of_values", 1.0)
    return float(criterion + 2 * (fitted.nobs * np.log(scale) if scale != 1.0 else 0.0))
