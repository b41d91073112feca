"""Plotly figures of results: one template, units on the axes, text for those who cannot see them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.frames import panel, polars
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.cost import CostBreakdown
    from analytics.detection import Anomalies
    from analytics.forecasting import Forecast
    from analytics.frames import Frame

# Okabe and Ito's set without black and yellow: told apart by colour-blind eyes, on white and on black.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
GREY = "#767676"  # 4.5 : 1 against white and against black
GRID = "rgba(128,128,128,0.25)"
NAME = 40  # characters of a name that a legend shows
MOST = 6  # series in one chart
TAIL = 3  # horizons of the past that a fan shows


def template() -> Any:
    """The template of every figure: transparent ground, quiet grid."""
    from plotly import graph_objects as go

    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True}
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": GREY, "family": "system-ui, sans-serif", "size": 13},
            "colorway": list(PALETTE),
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 60, "r": 20, "t": 60, "b": 45},
            "legend": {"orientation": "h", "y": -0.2},
            "hovermode": "x unified",
        }
    )


def lines(frame: Frame, *, unit: str = "", title: str = "", stacked: bool = False, most: int = MOST) -> Figure:
    """Series of a long frame over time; the smallest beyond `most` are added up as "other" when stacked, else left out.

    A series without any value is not drawn.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: as `analytics.frames.panel` does.
    """
    from plotly import graph_objects as go

    data, _ = polars(frame)
    if {"unique_id", "y"} <= set(data.columns):
        data = data.filter(pl.col("y").count().over("unique_id") > 0)
    history = panel(data).history()
    sums = history.group_by("unique_id").agg(pl.col("y").sum())
    order = sums.sort("y", "unique_id", descending=[True, False])["unique_id"]
    top, rest = order.head(most), order.tail(max(0, len(order) - most))
    figure, group = go.Figure(), "all" if stacked else None
    for name in top:
        _line(figure, history.filter(pl.col("unique_id") == name), str(name), group)
    if stacked and len(rest):
        others = history.filter(pl.col("unique_id").is_in(rest.implode())).group_by("ds").agg(pl.col("y").sum())
        _line(figure, others.sort("ds"), f"other ({len(rest)})", group)
    left = "" if stacked or not len(rest) else f", the {most} largest of {len(order)}"
    span = f"{words.moment(history['ds'].min())} to {words.moment(history['ds'].max())}"
    return _dressed(figure, title, unit, f"{title}: {len(order)} series from {span}{left}.")


def bars(breakdown: CostBreakdown, *, most: int = 12) -> Figure:
    """Spend by dimension, dearest on top; requests where nothing has a price."""
    from plotly import graph_objects as go

    value, unit = ("cost_usd", "USD") if breakdown.priced else ("requests", "requests")
    top = breakdown.table.head(most).reverse()
    names = [_name("/".join(str(part) for part in row)) for row in top.select(breakdown.by).iter_rows()]
    texts = [words.amount(amount, "USD" if breakdown.priced else "") for amount in top[value]]
    figure = go.Figure(go.Bar(x=top[value].to_list(), y=names, orientation="h", text=texts, marker_color=PALETTE[0]))
    by = "/".join(breakdown.by)
    _dressed(figure, f"{'Spend' if breakdown.priced else 'Requests'} by {by}", "", breakdown.sentence())
    return figure.update_layout(
        height=140 + 30 * len(top), xaxis_title=unit, hovermode="closest", yaxis={"type": "category"}
    )


def fan(forecast: Forecast, *, most: int = MOST) -> Figure:
    """The past, the forecast and its intervals, one panel a series, the largest first."""
    totals = forecast.totals().sort("total", descending=True)
    names = totals[forecast.id_col].head(most).to_list()
    figure = _panels(names)
    table = forecast.to_polars()
    for row, name in enumerate(names, start=1):
        ahead = table.filter(pl.col(forecast.id_col) == name)
        past = forecast.history.filter(pl.col(forecast.id_col) == name).tail(TAIL * forecast.horizon + 48)
        when = ahead[forecast.time_col].to_list()
        for level in sorted(forecast.level, reverse=True):
            low, high = ahead[f"y_hat-lo-{level:g}"].to_list(), ahead[f"y_hat-hi-{level:g}"].to_list()
            if high[0] is None:
                continue
            band = {"fill": "toself", "fillcolor": "rgba(0,114,178,0.18)", "line_width": 0, "hoverinfo": "skip"}
            x, y = when + when[::-1], high + low[::-1]
            _trace(figure, row, f"{level:g} % interval", x, y, **band)
        for x, y, label, colour in (
            (past[forecast.time_col].to_list(), past[forecast.target_col].to_list(), "past", GREY),
            (when, ahead["y_hat"].to_list(), "forecast", PALETTE[0]),
        ):
            style = {"mode": "lines" if len(x) > 2 else "lines+markers", "line_color": colour}
            _trace(figure, row, label, x, y, **style)
    title = f"Forecast, {forecast.horizon} {words.plural(forecast.step, forecast.horizon)} ahead"
    _dressed(figure, title, forecast.unit, forecast.sentence())
    return figure.update_layout(height=160 + 240 * len(names))


def timeline(anomalies: Anomalies, *, most: int = 4) -> Figure:
    """Values, what was expected, and the findings; the series with the worst findings first."""
    worst = anomalies.table.group_by(anomalies.id_col).agg(pl.col("score").max())
    order = worst.sort("score", anomalies.id_col, descending=[True, False], nulls_last=True)
    names = order[anomalies.id_col].head(most).to_list()
    figure = _panels(names)
    for row, name in enumerate(names, start=1):
        rows = anomalies.table.filter(pl.col(anomalies.id_col) == name)
        when = rows[anomalies.time_col].to_list()
        hits = rows.filter("is_anomaly")
        y, hit_y = rows[anomalies.target_col].to_list(), hits[anomalies.target_col].to_list()
        _trace(figure, row, "expected", when, rows["expected"].to_list(), mode="lines", line_color=PALETTE[0])
        _trace(figure, row, "measured", when, y, mode="lines", line_color=GREY)
        dots = {"mode": "markers", "marker_color": PALETTE[5], "marker_size": 8}
        _trace(figure, row, "anomaly", hits[anomalies.time_col].to_list(), hit_y, **dots)
    _dressed(figure, "Measured, expected, anomalies", anomalies.unit, anomalies.sentence())
    return figure.update_layout(height=160 + 240 * len(names))


def latency(frame: Frame, *, value: str = "ttft_p95_s", title: str = "", most: int = MOST) -> Figure:
    """A latency percentile over time, one line per combination of dimensions, as `load.latency` gives them.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: `value` is not there.
    """
    data, _ = polars(frame)
    measures = ("ttft_", "duration_", "tpot_")
    dims = [name for name in data.columns if name not in ("ds", "requests", "errors") and not name.startswith(measures)]
    label = pl.concat_str(pl.col(dims).cast(pl.String), separator="/") if dims else pl.lit("all")
    if value not in data.columns:
        raise ColumnMissing(value, data.columns)
    long = data.with_columns(label.alias("unique_id")).rename({value: "y"})
    known = long.filter(pl.col("y").count().over("unique_id") > 0)
    if known.is_empty():
        raise NoRows(f"latency ({value.removesuffix('_s').replace('_', ' ')})")
    return lines(known, unit="seconds", title=title or f"{value.removesuffix('_s').replace('_', ' ')}", most=most)


def _panels(names: list[Any]) -> Figure:
    """One panel a series, one above the other on a common clock; a single one needs no title."""
    from plotly.subplots import make_subplots

    titles = [_name(str(name)) for name in names] if len(names) > 1 else None
    spacing = 0.25 / max(2, len(names))
    return make_subplots(rows=len(names), shared_xaxes=True, vertical_spacing=spacing, subplot_titles=titles)


def _trace(figure: Figure, row: int, label: str, x: list[Any], y: list[Any], **style: Any) -> None:
    """A trace of one panel; the legend names it once for all of them."""
    figure.add_scatter(x=x, y=y, name=label, legendgroup=label, showlegend=row == 1, row=row, col=1, **style)


def _line(figure: Figure, rows: pl.DataFrame, name: str, stackgroup: str | None) -> None:
    figure.add_scatter(
        x=rows["ds"].to_list(),
        y=rows["y"].to_list(),
        name=_name(name),
        mode="lines",
        stackgroup=stackgroup,
        line_width=0.5 if stackgroup else 1.5,
    )


def _dressed(figure: Figure, title: str, unit: str, alt: str) -> Figure:
    figure.update_layout(template=template(), title=_name(title, 120), meta={"alt": alt})
    return figure.update_yaxes(title_text=_name(unit)) if unit else figure


def _name(text: str, most: int = NAME) -> str:
    """A name as plotly may draw it: it reads tags in texts, and a queue may be called `<b>`."""
    return escape(text if len(text) <= most else f"{text[: most - 1]}…", quote=False)
