"""Figure of stored forecasts: what came, and the forecast that stood before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics.charts.theme import BAND, BLUE, GREY, dressed, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.stored_forecasts import TrackRecord


def record(made: TrackRecord, *, most: int = 3) -> Figure:
    """What came and what was forecast, with the interval of 80 %; the largest series on top.

    >>> from analytics.stored_forecasts import track_record
    >>> rows = {"run_id": "r", "target": "hourly cost_usd", "unique_id": "total", "ds": [1, 2], "lead_h": [1.0, 2.0],
    ...     "y": [4.0, 6.0], "y_hat": 5.0, "lo_80": 4.0, "hi_80": 7.0, "lo_95": None, "hi_95": None, "trained_until": 0}
    >>> [trace.name for trace in record(track_record(pl.DataFrame(rows))).data]
    ['80 % interval', 'forecast', 'came']
    """
    rows = made.table.head(most)
    figure = panels([f"{row['target']}, {row['series']}" for row in rows.iter_rows(named=True)], always=True)
    for place, row in enumerate(rows.iter_rows(named=True), start=1):
        own = made.latest.filter((pl.col("target") == row["target"]) & (pl.col("series") == row["series"]))
        when = own["ds"].to_list()
        bounded = own.drop_nulls(["lo_80", "hi_80"])
        if len(bounded):
            x, low, high = (bounded[name].to_list() for name in ("ds", "lo_80", "hi_80"))
            band = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip", "mode": "lines"}
            trace(figure, place, "80 % interval", x + x[::-1], low + high[::-1], **band)
        trace(figure, place, "forecast", when, own["y_hat"].to_list(), mode="lines", line_color=BLUE)
        trace(figure, place, "came", when, own["y"].to_list(), mode="lines", line_color=GREY)
    dressed(figure, "What came, and the latest forecast before it", "", made.sentence())
    return figure.update_layout(height=160 + 240 * len(rows))
