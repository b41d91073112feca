"""What scripts and notebooks import: load, analyse, forecast, draw. Every name loads on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics import charts, cost, load, prom, quality, queues
    from analytics.article import show
    from analytics.cost import CostBreakdown
    from analytics.detection import Anomalies, anomalies
    from analytics.forecasting import Forecast, forecast
    from analytics.quality import Quality
    from analytics.seasons import Seasonality, seasonality

__all__ = [
    "Anomalies",
    "CostBreakdown",
    "Forecast",
    "Quality",
    "Seasonality",
    "anomalies",
    "charts",
    "cost",
    "forecast",
    "load",
    "prom",
    "quality",
    "queues",
    "seasonality",
    "show",
]

# No module bears the name of a function: importing `analytics.forecast` would replace the function by the module.
_HOMES = {
    "Anomalies": "detection",
    "CostBreakdown": "cost",
    "Forecast": "forecasting",
    "Quality": "quality",
    "Seasonality": "seasons",
    "anomalies": "detection",
    "forecast": "forecasting",
    "seasonality": "seasons",
    "show": "article",
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
