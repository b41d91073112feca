"""Figures of forecasts: the fan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.charts.theme import BAND, GREY, MOST, PALETTE, dressed, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.forecasting import Forecast

TAIL = 3  # horizons of the past that a fan shows


def fan(forecast: Forecast, *, most: int = MOST) -> Figure:
    """The past, the forecast and its intervals, one panel a series, the largest first."""
    totals = forecast.totals().sort("total", descending=True)
    names = totals[forecast.id_col].head(most).to_list()
    figure = panels(names)
    table = forecast.to_polars()
    for row, name in enumerate(names, start=1):
        ahead = table.filter(pl.col(forecast.id_col) == name)
        past = forecast.history.filter(pl.col(forecast.id_col) == name).tail(TAIL * forecast.horizon + 48)
        when = ahead[forecast.time_col].to_list()
        for level in sorted(forecast.level, reverse=True):
            low, high = ahead[f"y_hat-lo-{level:g}"].to_list(), ahead[f"y_hat-hi-{level:g}"].to_list()
            if high[0] is None:
                continue
            band = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip"}
            x, y = when + when[::-1], high + low[::-1]
            trace(figure, row, f"{level:g} % interval", x, y, **band)
        for x, y, label, colour in (
            (past[forecast.time_col].to_list(), past[forecast.target_col].to_list(), "past", GREY),
            (when, ahead["y_hat"].to_list(), "forecast", PALETTE[0]),
        ):
            style = {"mode": "lines" if len(x) > 2 else "lines+markers", "line_color": colour}
            trace(figure, row, label, x, y, **style)
    title = f"Forecast, {forecast.horizon} {words.plural(forecast.step, forecast.horizon)} ahead"
    dressed(figure, title, forecast.unit, forecast.sentence())
    return figure.update_layout(height=160 + 240 * len(names))
