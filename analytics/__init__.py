"""What scripts and notebooks import: load, analyse, forecast, draw. Every name loads on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics import budget, charts, cost, load, mutes, performance, prom, quality, queues, records
    from analytics.alarms import Alarms
    from analytics.article import show
    from analytics.backtesting import Backtest, backtest
    from analytics.budget import Outlook
    from analytics.capacity import Capacity
    from analytics.changes import ChangePoints, changepoints
    from analytics.cost import CostBreakdown
    from analytics.declared_budgets import standings
    from analytics.detection import Anomalies, anomalies
    from analytics.distributed import forecast_chunk, forecast_many
    from analytics.drivers import CostDrivers
    from analytics.explain import Contributions
    from analytics.finding_causes import causes
    from analytics.forecasting import Forecast, forecast
    from analytics.hierarchy import Reconciled, coherent, reconcile
    from analytics.lags import LeadLag
    from analytics.quality import Quality
    from analytics.queues import QueueState
    from analytics.repricing import WhatIf
    from analytics.runs import Run
    from analytics.seasonal import Seasonality, seasonality
    from analytics.series_quality import SeriesQuality
    from analytics.stored_forecasts import track_record
    from analytics.streaming import Scorer
    from analytics.watching import watch

__all__ = [
    "Alarms",
    "Anomalies",
    "Backtest",
    "Capacity",
    "ChangePoints",
    "Contributions",
    "CostBreakdown",
    "CostDrivers",
    "Forecast",
    "LeadLag",
    "Outlook",
    "Quality",
    "QueueState",
    "Reconciled",
    "Run",
    "Scorer",
    "Seasonality",
    "SeriesQuality",
    "WhatIf",
    "anomalies",
    "backtest",
    "budget",
    "causes",
    "changepoints",
    "charts",
    "coherent",
    "cost",
    "forecast",
    "forecast_chunk",
    "forecast_many",
    "load",
    "mutes",
    "performance",
    "prom",
    "quality",
    "queues",
    "reconcile",
    "records",
    "seasonality",
    "show",
    "standings",
    "track_record",
    "watch",
]

# No module bears the name of a function: importing `analytics.forecast` would replace the function by the module.
_HOMES = {
    "Alarms": "alarms",
    "Anomalies": "detection",
    "Backtest": "backtesting",
    "Capacity": "capacity",
    "ChangePoints": "changes",
    "Contributions": "explain",
    "CostBreakdown": "cost",
    "CostDrivers": "drivers",
    "Forecast": "forecasting",
    "LeadLag": "lags",
    "Outlook": "budget",
    "Quality": "quality",
    "QueueState": "queues",
    "Reconciled": "hierarchy",
    "Run": "runs",
    "Scorer": "streaming",
    "Seasonality": "seasonal",
    "SeriesQuality": "series_quality",
    "WhatIf": "repricing",
    "anomalies": "detection",
    "backtest": "backtesting",
    "causes": "finding_causes",
    "changepoints": "changes",
    "coherent": "hierarchy",
    "forecast": "forecasting",
    "forecast_chunk": "distributed",
    "forecast_many": "distributed",
    "reconcile": "hierarchy",
    "seasonality": "seasonal",
    "show": "article",
    "standings": "declared_budgets",
    "track_record": "stored_forecasts",
    "watch": "watching",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'analytics' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(f"analytics.{_HOMES.get(name, name)}")
    found: object = getattr(module, name) if name in _HOMES else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
