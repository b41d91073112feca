"""Plotly figures of results: one theme, units on the axes, text for those who cannot see them."""

from __future__ import annotations

from analytics.charts.anomaly import contributions, levels, timeline
from analytics.charts.forecast import fan
from analytics.charts.money import bars, burn_down, compared, waterfall
from analytics.charts.queues import capacity, lag_bars
from analytics.charts.ranked import ranked
from analytics.charts.seasons import attained, decomposition, profile, week
from analytics.charts.series import latency, lines
from analytics.charts.theme import MOST, PALETTE, template

__all__ = [
    "MOST",
    "PALETTE",
    "attained",
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
    "ranked",
    "template",
    "timeline",
    "waterfall",
    "week",
]
