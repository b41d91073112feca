"""Plotly figures of results: one theme, units on the axes, text for those who cannot see them."""

from __future__ import annotations

from analytics.charts.anomaly import contributions, levels, timeline
from analytics.charts.forecast import fan
from analytics.charts.money import bars, burn_down, compared, waterfall
from analytics.charts.queues import capacity, lag_bars
from analytics.charts.seasons import decomposition, profile
from analytics.charts.series import latency, lines
from analytics.charts.theme import MOST, PALETTE, template

__all__ = [
    "MOST",
    "PALETTE",
    "bars",
    "burn_down",
    "capacity",
    "compared",
    "contributions",
    "decomposition",
    "fan",
    "lag_bars",
    "latency",
    "levels",
    "lines",
    "profile",
    "template",
    "timeline",
    "waterfall",
]
