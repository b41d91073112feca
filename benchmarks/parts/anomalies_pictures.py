"""Draw docs/images/analysis/{anomalies,changepoints,seasonality}.png from ../shared/data.

python benchmarks/parts/anomalies_pictures.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)

import polars as pl
from plotly.graph_objects import Figure

from analytics import anomalies, changepoints, seasonality

DATA = ROOT.parent / "shared/data"
HERE = ROOT / "docs/images/analysis"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # the trace says neither date nor weekday


def main() -> None:
    """Draw the three pictures."""
    latency = telemetry("ms_cloud/middle-tier-api-dependency-latency/outbound-07.csv")
    save(anomalies(latency, unit="ms").plot(), "anomalies", 1000, 400)
    save(changepoints(latency, unit="ms").plot(), "changepoints", 1000, 380)
    traffic = pl.read_csv(DATA / "llm_usage/servegen_m_small_10min.csv")
    hourly = traffic.group_by((pl.col("t_s") // 3600).alias("hour")).agg(pl.col("requests").sum().alias("y"))
    when = [MONDAY + timedelta(hours=hour) for hour in hourly["hour"]]
    save(seasonality(hourly.select(pl.Series("ds", when), "y")).plot(), "seasonality", 1000, 340)


def telemetry(name: str) -> pl.DataFrame:
    """A series of the folder of anomalies as `ds, y`."""
    rows = pl.read_csv(DATA / "anomaly" / name)
    time, value = rows.columns[:2]
    when = pl.col(time).str.replace("T", " ").str.strip_chars("Z").str.to_datetime("%Y-%m-%d %H:%M:%S")
    return rows.select(when.alias("ds"), pl.col(value).alias("y")).unique("ds", maintain_order=True)


def save(figure: Figure, name: str, width: int, height: int) -> None:
    """Render a figure in a browser without a window."""
    figure.update_layout(width=width, height=height, paper_bgcolor="white", plot_bgcolor="white")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        figure.write_html(page, include_plotlyjs=True, config={"displayModeBar": False})
        flags = ("--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu", "--virtual-time-budget=5000")
        target = (f"--window-size={width},{height}", f"--screenshot={HERE / name}.png", page.as_uri())
        subprocess.run(["chromium", *flags, *target], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
