"""Draw docs/images/analysis/{costs,budgets,quality,queues}.png, from ../shared/data and simulations.

python benchmarks/parts/money_pictures.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)

import numpy as np
import polars as pl

from analytics import budget, cost, quality, queues
from benchmarks.parts.budget_calibration import clients
from benchmarks.parts.forecasting_pictures import HERE, save

START, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)
MODELS = {"large": (300, 900, 8e-6, 0.7), "small": (500, 700, 1e-6, 1.5), "other": (200, 1200, 3e-6, 1.1)}
QUEUES = {"orders": (58, 66, 4, 400_000), "mail": (12, 18, 2, None)}  # messages/s in, and out at most, consumers, limit


def main() -> None:
    """Draw each of them."""
    save(cost.drivers(spend()).plot(), "costs", 900, 420)
    past = clients(ROOT.parent / "shared/data").filter(pl.col("ds") < 240)
    dated = past.with_columns(ds=pl.lit(START) + pl.duration(hours=pl.col("ds")))
    ahead = budget.outlook(dated, 95_000, since=START, until=START + timedelta(days=14))
    save(ahead.plot(), "budgets", 900, 420)
    page(quality.check(faults())._repr_html_(), "quality", 960, 240)
    save(queues.capacity(depths(), 24, target_age_s=300).plot(most=1), "queues", 900, 560)


def faults() -> pl.DataFrame:
    """Three series: a sound one, one with holes, one that ended early and has an impossible value."""
    hours = [START + hour * HOUR for hour in range(72)]
    whole = pl.DataFrame({"unique_id": "search", "ds": hours, "y": 1.0 + np.arange(72) % 24})
    holes = whole.with_columns(
        unique_id=pl.lit("ads"), y=pl.when(pl.col("ds").dt.hour() == 4).then(None).otherwise("y")
    )
    early = pl.concat([whole.head(50), whole[10:12]]).with_columns(unique_id=pl.lit("batch"), y=pl.col("y") - 2)
    return pl.concat([whole, holes.filter(pl.col("ds").dt.hour() != 9), early])


def spend() -> pl.DataFrame:
    """Two weeks of three models: in the second requests move from the large to the small one, and grow longer."""
    random = np.random.default_rng(3)
    rows = []
    for name, (base, tokens, price, factor) in MODELS.items():
        for hour in range(14 * 24):
            late = hour >= 7 * 24
            calls = int(random.poisson(base * (1 + 0.5 * np.sin(hour / 24 * 2 * np.pi)) * (factor if late else 1)))
            used = int(calls * tokens * (1.2 if late and name == "large" else 1))
            rows.append((START + hour * HOUR, name, calls, used, used // 5, used * 1.8 * price))
    names = ["bucket", "model", "requests", "input_tokens", "output_tokens", "total_cost"]
    return pl.DataFrame(rows, schema=names, orient="row")


def depths() -> pl.DataFrame:
    """Two weeks of two queues, one of which is overloaded every morning."""
    random = np.random.default_rng(3)
    depth = dict.fromkeys(QUEUES, 0.0)
    rows = []
    for hour in range(14 * 24):
        for name, (load, most, consumers, limit) in QUEUES.items():
            arriving = load * (1 + 0.35 * np.sin(hour / 24 * 2 * np.pi)) * random.lognormal(0, 0.08)
            served = min(arriving + depth[name] / 3600, most)
            depth[name] = max(0.0, depth[name] + (arriving - served) * 3600)
            rows.append((START + hour * HOUR, name, int(depth[name]), float(consumers), arriving, served, limit))
    names = [
        "bucket",
        "queue",
        "last_messages",
        "avg_consumers",
        "avg_published_per_s",
        "avg_acked_per_s",
        "max_length",
    ]
    return pl.DataFrame(rows, schema=names, orient="row")


def page(html: str, name: str, width: int, height: int) -> None:
    """A picture of what a notebook shows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(
            f"<meta charset=utf-8><body style='background:white;color:#222'>{html}</body>", encoding="utf-8"
        )
        flags = ("--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu")
        target = (f"--window-size={width},{height}", f"--screenshot={HERE / name}.png", file.as_uri())
        subprocess.run(["chromium", *flags, *target], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
