"""Small pictures without a script, for `_repr_html_`: they show in any notebook, trusted or not, and offline."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import words
from analytics.frames import Floats

if TYPE_CHECKING:
    from analytics.detection import Anomalies
    from analytics.forecasting import Forecast

WIDTH, HEIGHT, PAD = 720, 180, 6
LINE, AHEAD, ALARM = "#767676", "#0072b2", "#d55e00"
TAIL = 400  # points of the past that are drawn


def fan(forecast: Forecast) -> str:
    """The largest series of a forecast: its past, its point forecast, its widest and narrowest interval."""
    largest = forecast.totals().sort("total", descending=True)[forecast.id_col][0]
    ahead = forecast.to_polars().filter(pl.col(forecast.id_col) == largest)
    past = forecast.history.filter(pl.col(forecast.id_col) == largest)[forecast.target_col].tail(TAIL)
    known = numbers(past)
    point = ahead["y_hat"].to_numpy()
    bounds = [
        (numbers(ahead[f"y_hat-lo-{level:g}"]), numbers(ahead[f"y_hat-hi-{level:g}"]))
        for level in sorted(forecast.level, reverse=True)
    ]
    start = len(known)
    scale = Scale(start + len(point), [known, point, *(bound for pair in bounds for bound in pair)])
    shapes = [scale.band(low, high, start, AHEAD, 0.18) for low, high in bounds]
    shapes += [scale.line(known, 0, LINE), scale.line(point, start, AHEAD)]
    return framed(shapes, f"{largest}: {forecast.sentence()}", scale, forecast.unit)


def findings(anomalies: Anomalies) -> str:
    """The series with the worst finding: its values, what was expected, the findings as dots."""
    worst = anomalies.findings.sort("score", descending=True, nulls_last=True)[anomalies.id_col]
    name = worst[0] if len(worst) else anomalies.table[anomalies.id_col][0]
    rows = anomalies.table.filter(pl.col(anomalies.id_col) == name).tail(4 * TAIL)
    y, expected = numbers(rows[anomalies.target_col]), numbers(rows["expected"])
    scale = Scale(len(y), [y, expected])
    shapes = [scale.line(expected, 0, AHEAD), scale.line(y, 0, LINE)]
    alarms = np.flatnonzero(rows["is_anomaly"].to_numpy() & np.isfinite(y))
    shapes += [scale.dot(int(at), y[at], ALARM) for at in alarms]
    return framed(shapes, f"{name}: {anomalies.sentence()}", scale, anomalies.unit)


class Scale:
    """Where a point lies in the picture."""

    def __init__(self, points: int, values: list[Floats]) -> None:
        every = np.concatenate(values)
        every = every[np.isfinite(every)]
        self.low, self.high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
        self.dx = (WIDTH - 2 * PAD) / max(1, points - 1)
        self.dy = (HEIGHT - 2 * PAD) / ((self.high - self.low) or 1.0)

    def at(self, k: int, value: float) -> str:
        return f"{PAD + k * self.dx:.1f},{HEIGHT - PAD - (value - self.low) * self.dy:.1f}"

    def line(self, values: Floats, start: int, colour: str) -> str:
        """A polyline that breaks where a value is missing."""
        runs = np.split(np.arange(len(values)), np.flatnonzero(~np.isfinite(values)))
        paths = [" ".join(self.at(start + int(k), values[k]) for k in run if np.isfinite(values[k])) for run in runs]
        style = f'fill="none" stroke="{colour}" stroke-width="1.4"'
        return "".join(f'<polyline points="{path}" {style}/>' for path in paths if path)

    def band(self, low: Floats, high: Floats, start: int, colour: str, opacity: float) -> str:
        there = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
        if not len(there):
            return ""
        upper = [self.at(start + int(k), high[k]) for k in there]
        lower = [self.at(start + int(k), low[k]) for k in there[::-1]]
        return f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" fill-opacity="{opacity}"/>'

    def dot(self, k: int, value: float, colour: str) -> str:
        x, _, y = self.at(k, value).partition(",")
        return f'<circle cx="{x}" cy="{y}" r="3.2" fill="{colour}"/>'


def numbers(column: pl.Series) -> Floats:
    """A column as floats, NaN where a value is missing."""
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def framed(shapes: list[str], alt: str, scale: Scale, unit: str) -> str:
    """The shapes with the largest and the smallest value at the left."""
    marks = text(PAD, 12, words.amount(scale.high, unit)) + text(PAD, HEIGHT - 1, words.amount(scale.low, unit))
    return drawing([*shapes, marks], alt, HEIGHT)


def text(x: float, y: float, said: str, anchor: str = "start") -> str:
    """A label.

    >>> text(1, 2, "<b>")[:23], "&lt;b&gt;" in text(1, 2, "<b>")
    ('<text x="1.0" y="2.0" f', True)
    """
    font = f'font-size="12" fill="{LINE}" font-family="system-ui,sans-serif"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {font} text-anchor="{anchor}">{escape(said)}</text>'


def drawing(shapes: list[str], alt: str, height: float) -> str:
    """A whole picture; `alt` stands for it where it is not seen."""
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height:.0f}" width="100%" style="max-width:{WIDTH}px" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(alt)}</title>{"".join(shapes)}</svg>'
    )
