"""The default forecast on real data, beside the seasonal naive; the figures seen stand beside the bounds."""

import gzip

import numpy as np
import polars as pl
import pytest

from analytics import forecast

DAY = 24


@pytest.fixture(scope="module")
def m4(data_folder):
    """Every fifth series of M4 Hourly: its history without the last 48 hours, and those."""
    lines = gzip.decompress((data_folder / "forecasting/m4_hourly_train.csv.gz").read_bytes()).decode().splitlines()[1:]
    rows = [
        [float(cell) for cell in line.replace('"', "").split(",")[1:] if cell not in ("", "NA")] for line in lines[::5]
    ]
    frames = [pl.DataFrame({"unique_id": k, "ds": range(len(row)), "y": row}) for k, row in enumerate(rows)]
    cut = pl.col("ds") < pl.len().over("unique_id") - 48
    whole = pl.concat(frames)
    return whole.filter(cut), whole.filter(~cut)


@pytest.fixture(scope="module")
def m_small(data_folder):
    """Requests per hour of 14 days of production traffic."""
    windows = pl.read_csv(data_folder / "llm_usage/servegen_m_small_10min.csv")
    hourly = windows.group_by((pl.col("t_s") // 3600).alias("ds")).agg(pl.col("requests").sum().alias("y"))
    return hourly.sort("ds").with_columns(unique_id=pl.lit("m-small"))


def compare(past, actual, horizon, **options):
    """Mean absolute error of the ensemble over that of the seasonal naive, and coverages of points and sums."""
    made = forecast(past, horizon, **options)
    rows = made.to_polars().join(actual, on=["unique_id", "ds"])
    naive = (
        forecast(past, horizon, engine="seasonal_naive", season_length=DAY)
        .to_polars()
        .join(actual, on=["unique_id", "ds"])
    )
    scale = past.group_by("unique_id").agg((pl.col("y") - pl.col("y").shift(DAY)).abs().mean().alias("scale"))

    def mase(frame):
        each = frame.group_by("unique_id").agg((pl.col("y") - pl.col("y_hat")).abs().mean().alias("mae"))
        return (
            each.join(scale, on="unique_id")
            .filter(pl.col("scale") > 0)
            .select((pl.col("mae") / pl.col("scale")).mean())
            .item()
        )

    sums = made.totals().join(actual.group_by("unique_id").agg(pl.col("y").sum()), on="unique_id")
    points = [inside(rows, "y_hat", level) for level in (80, 95)]
    return mase(rows) / mase(naive), points, [inside(sums, "total", level) for level in (80, 95)]


def inside(rows, name, level):
    return rows.select(pl.col("y").is_between(pl.col(f"{name}-lo-{level}"), pl.col(f"{name}-hi-{level}")).mean()).item()


def test_m4_hourly(m4):
    ratio, points, sums = compare(*m4, 48, season_length=(DAY, 7 * DAY))
    # Seen on these 83 series: ratio 0.65, points 0.81 and 0.95, sums 0.75 and 0.94.
    assert ratio < 0.70
    assert 0.74 <= points[0] <= 0.86
    assert 0.90 <= points[1] <= 0.985
    assert 0.66 <= sums[0] <= 0.90
    assert 0.84 <= sums[1] <= 1.0


def test_m4_hourly_with_the_seasons_it_finds(m4):
    ratio, points, _ = compare(*m4, 48)
    # Integer times: seasons by the peaks of the autocorrelation, confirmed on held-out days.
    # Seen: ratio 0.64, points 0.81.
    assert ratio < 0.70
    assert 0.72 <= points[0] <= 0.88


def test_production_traffic_a_day_ahead(m_small):
    found = [
        compare(
            m_small.filter(pl.col("ds") < cut),
            m_small.filter(pl.col("ds").is_between(cut, cut + DAY - 1)),
            DAY,
            season_length=DAY,
        )
        for cut in range(192, 313, 12)
    ]
    ratio = np.mean([one[0] for one in found])
    points = np.mean([one[1] for one in found], axis=0)
    # Seen over 11 origins: ratio 0.96, points 0.55 and 0.95. One series whose second week rises and falls as the first
    # never did: what no backtest met is in no interval, and the one at 80 % is too narrow here.
    assert ratio < 1.0
    assert 0.42 <= points[0] <= 0.93
    assert 0.88 <= points[1] <= 1.0


def test_production_clients_a_day_ahead(data_folder):
    windows = pl.read_csv(data_folder / "llm_usage/servegen_m_small_clients_10min.csv.gz")
    hour = (pl.col("t_s") // 3600).alias("ds")
    sums = windows.group_by(pl.col("client").alias("unique_id"), hour).agg(pl.col("requests").sum().alias("y"))
    grid = pl.DataFrame({"ds": pl.Series(range(336), dtype=pl.Int64)})
    whole = sums.select("unique_id").unique().join(grid, how="cross").join(sums, on=["unique_id", "ds"], how="left")
    whole = whole.with_columns(pl.col("y").fill_null(0.0)).sort("unique_id", "ds")
    wape, points, totals = [], [], []
    for cut in (240, 264, 288, 312):
        past, actual = whole.filter(pl.col("ds") < cut), whole.filter(pl.col("ds").is_between(cut, cut + DAY - 1))
        made, naive = forecast(past, DAY), forecast(past, DAY, engine="seasonal_naive", season_length=DAY)
        rows = [one.to_polars().join(actual, on=["unique_id", "ds"]) for one in (made, naive)]
        wape.append([one.select((pl.col("y") - pl.col("y_hat")).abs().sum()).item() for one in rows])
        points.append([inside(rows[0], "y_hat", level) for level in (80, 95)])
        summed = made.totals().join(actual.group_by("unique_id").agg(pl.col("y").sum()), on="unique_id")
        totals.append([inside(summed, "total", level) for level in (80, 95)])
    ensemble, seasonal = np.sum(wape, axis=0)
    points, totals = np.mean(points, axis=0), np.mean(totals, axis=0)
    # Seen: error 0.93 of the seasonal naive's, points 0.87 and 0.96, sums 0.81 and 0.92.
    assert ensemble < seasonal
    assert 0.76 <= points[0] <= 0.89
    assert 0.92 <= points[1] <= 0.985
    assert 0.72 <= totals[0] <= 0.90
    assert 0.85 <= totals[1] <= 0.99
