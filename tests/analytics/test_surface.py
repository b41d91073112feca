import subprocess
import sys

import pytest

import analytics

SLOW = ("numpy", "pandas", "polars", "scipy", "statsmodels", "plotly", "pyarrow", "IPython", "psycopg")


def in_a_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_import_loads_nothing_slow():
    assert in_a_fresh_process(f"import analytics, sys; print([n for n in {SLOW!r} if n in sys.modules])") == "[]"


@pytest.mark.parametrize("name", analytics.__all__)
def test_every_name_is_there(name):
    assert getattr(analytics, name) is not None
    assert name in dir(analytics)


def test_all_is_exact():
    assert analytics.__all__ == sorted(analytics.__all__)
    assert analytics.__all__ == [
        "Alarms", "Anomalies", "Backtest", "Capacity", "ChangePoints", "Contributions", "CostBreakdown",
        "CostDrivers", "Forecast", "LeadLag", "Outlook", "Quality", "QueueState", "Reconciled", "Run",
        "Scorer", "Seasonality", "SeriesQuality", "WhatIf", "anomalies", "backtest", "budget", "causes",
        "changepoints", "charts", "coherent", "cost", "forecast", "forecast_chunk", "forecast_many", "load", "mutes",
        "performance", "prom", "quality", "queues", "reconcile", "records", "seasonality", "show", "standings",
        "track_record", "watch",
    ]  # fmt: skip


def test_a_function_stays_one_whatever_is_imported_first():
    code = "import analytics.forecasting, analytics.detection, analytics.charts, analytics as a;"
    assert (
        in_a_fresh_process(f"{code} print(callable(a.forecast), callable(a.anomalies), callable(a.seasonality))")
        == "True True True"
    )


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="no attribute 'forcast'; it has .*forecast"):
        analytics.forcast
