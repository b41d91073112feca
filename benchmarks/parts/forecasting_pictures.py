"""Draw docs/images/analysis/{forecasting,intervals}.png: clients of an LLM service, from ../shared/data.

python benchmarks/parts/forecasting_pictures.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)

import polars as pl
from plotly.graph_objects import Figure
from plotly.subplots import make_subplots

from analytics import Forecast, forecast
from analytics.charts.theme import GREY, PALETTE
from benchmarks.parts.forecasting_data import clients, long_frame

HERE = ROOT / "docs/images/analysis"
FAMILY = "system-ui, sans-serif"
GRID = "rgba(128,128,128,0.25)"


def main() -> None:
    """Forecast two clients two days ahead and draw both pictures."""
    task = list(clients(ROOT.parent / "shared/data"))[3]
    largest = sorted(task.past, key=lambda one: -one.sum())
    frame = long_frame([largest[0], largest[3]]).with_columns(
        pl.col("unique_id").replace({"s000000": "client A", "s000001": "client B"})
    )
    made = forecast(frame, 48, unit="requests")
    save(made.plot(most=2), "forecasting", 900, 520)
    save(spread(made), "intervals", 1000, 380)


def spread(made: Forecast) -> Figure:
    """Paths beside the interval of points, sums of paths beside the interval of the total."""
    table, total = made.to_polars().head(made.horizon), made.totals(80).head(1)
    drawn = made.paths(400)[0]
    titles = (
        "20 of 400 joint paths, and the 95 % interval of points",
        "Sums of paths, and the 80 % interval of the total",
    )
    figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.09)
    when = table["ds"].to_list()
    edge = table["y_hat-hi-95"].to_list() + table["y_hat-lo-95"].to_list()[::-1]
    figure.add_scatter(
        x=when + when[::-1], y=edge, fill="toself", fillcolor="rgba(0,114,178,0.15)", line_width=0, row=1, col=1
    )
    for path in drawn[:20]:
        figure.add_scatter(x=when, y=path, line={"width": 1, "color": GREY}, opacity=0.6, row=1, col=1)
    figure.add_scatter(x=when, y=table["y_hat"].to_list(), line={"width": 2.5, "color": PALETTE[0]}, row=1, col=1)
    figure.add_histogram(x=drawn.sum(axis=1), nbinsx=40, marker_color=PALETTE[4], row=1, col=2)
    for name in ("total-lo-80", "total-hi-80"):
        figure.add_vline(x=total[name].item(), line={"color": PALETTE[5], "dash": "dash"}, row=1, col=2)
    return figure.update_layout(showlegend=False, margin={"l": 50, "r": 20, "t": 50, "b": 40})


def save(figure: Figure, name: str, width: int, height: int) -> None:
    """Render a figure in a browser without a window."""
    figure.update_layout(
        width=width,
        height=height,
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": "#444", "family": FAMILY},
    )
    figure.update_yaxes(gridcolor=GRID)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        flags = ("--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--virtual-time-budget=5000")
        target = (f"--window-size={width},{height}", f"--screenshot={HERE / name}.png", page.as_uri())
        subprocess.run(["chromium", *flags, *target], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
