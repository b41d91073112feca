"""Figures of money: spend by dimension, what moved it, what it would be, and what is left of a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.charts.theme import BAND, BLUE, GREY, ORANGE, PALETTE, RED, SKY, dressed, name_of, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.budget import Outlook
    from analytics.cost import CostBreakdown
    from analytics.drivers import CostDrivers
    from analytics.repricing import WhatIf


def bars(breakdown: CostBreakdown, *, most: int = 12) -> Figure:
    """Spend by dimension, dearest on top; requests where nothing has a price."""
    from plotly import graph_objects as go

    value, unit = ("cost_usd", "USD") if breakdown.priced else ("requests", "requests")
    top = breakdown.table.head(most).reverse()
    names = [name_of("/".join(str(part) for part in row)) for row in top.select(breakdown.by).iter_rows()]
    texts = [words.amount(amount, "USD" if breakdown.priced else "") for amount in top[value]]
    figure = go.Figure(go.Bar(x=top[value].to_list(), y=names, orientation="h", text=texts, marker_color=PALETTE[0]))
    by = "/".join(breakdown.by)
    dressed(figure, f"{'Spend' if breakdown.priced else 'Requests'} by {by}", "", breakdown.sentence())
    return figure.update_layout(
        height=140 + 30 * len(top), xaxis_title=unit, hovermode="closest", yaxis={"type": "category"}
    )


def waterfall(drivers: CostDrivers) -> Figure:
    """From the spend before to the spend now, one step for each driver that moved anything.

    >>> from analytics import cost
    >>> then = pl.DataFrame({"model": ["a"], "requests": [1], "total_cost": [1.0]})
    >>> now = pl.DataFrame({"model": ["a"], "requests": [1], "total_cost": [3.0]})
    >>> waterfall(cost.drivers(now, before=then)).data[0].y
    (1.0, 2.0, 3.0)
    """
    from plotly import graph_objects as go

    moved = drivers.effects().filter(pl.col("effect_usd") != 0)
    names = ["before", *moved["driver"], "now"]
    amounts = [drivers.before_usd, *moved["effect_usd"], drivers.cost_usd]
    texts = [words.usd(amount) for amount in amounts]
    texts[1:-1] = [f"+{text}" if amount > 0 else text for text, amount in zip(texts[1:-1], amounts[1:-1], strict=True)]
    figure = go.Figure(
        go.Waterfall(
            x=names,
            y=amounts,
            measure=["absolute", *["relative"] * len(moved), "total"],
            text=texts,
            textposition="outside",
            cliponaxis=False,
            increasing_marker_color=ORANGE,
            decreasing_marker_color=SKY,
            totals_marker_color=GREY,
            connector_line_color=GREY,
            connector_line_width=1,
        )
    )
    dressed(figure, f"What moved spend, {name_of(drivers.now, 80)}", "USD", drivers.sentence())
    return figure.update_layout(height=420, showlegend=False, hovermode="closest", xaxis={"type": "category"})


def compared(made: WhatIf, *, most: int = 12) -> Figure:
    """Spend as it was and as it would be, the largest changes on top.

    >>> from analytics import cost
    >>> rows = pl.DataFrame({"model": ["a"], "requests": [1], "total_cost": [1.0]})
    >>> [trace.name for trace in compared(cost.what_if(rows, requests=2)).data]
    ['would cost', 'cost']
    """
    from plotly import graph_objects as go

    top = made.table.head(most).reverse()
    names = [name_of("/".join(str(part) for part in row)) for row in top.select(made.by).iter_rows()]
    figure = go.Figure()
    for column, label, colour in (("would_cost_usd", "would cost", BLUE), ("cost_usd", "cost", GREY)):
        texts = [words.usd(amount) for amount in top[column]]
        figure.add_bar(x=top[column].to_list(), y=names, orientation="h", name=label, text=texts, marker_color=colour)
    dressed(figure, made.change, "", made.sentence())
    return figure.update_layout(
        height=160 + 44 * len(top),
        xaxis_title="USD",
        hovermode="closest",
        yaxis={"type": "category"},
        legend_traceorder="reversed",
    )


def burn_down(outlook: Outlook, *, most: int = 4) -> Figure:
    """What is left of each budget: so far, expected with its fan, and at the pace so far; below zero it is exceeded.

    >>> from analytics import budget
    >>> ahead = budget.outlook(pl.DataFrame({"ds": range(50), "y": 1.0}), 80, until=100)
    >>> [trace.name for trace in burn_down(ahead).data][-3:]
    ['left', 'expected', 'at the pace so far']
    """
    rows = outlook.table.head(most)
    titles = [_titled(row, outlook.unit) for row in rows.iter_rows(named=True)]
    figure = panels(titles, always=True)
    for place, row in enumerate(rows.iter_rows(named=True), start=1):
        limit = row["limit"]
        curve = outlook.fan.filter(pl.col("budget") == row["budget"])
        past, ahead = curve.filter(pl.col("spent").is_not_null()), curve.filter(pl.col("expected").is_not_null())
        now = past.tail(1)
        when = [*now["ds"], *ahead["ds"]]
        start = (now["spent"] if len(now) else pl.Series([row["spent"]][: len(when) - len(ahead)])).to_list()
        for level in sorted(outlook.level, reverse=True) if row[f"total-lo-{outlook.level[0]:g}"] is not None else ():
            low, high = ([limit - one for one in (*start, *ahead[f"{side}-{level:g}"])] for side in ("lo", "hi"))
            band = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip", "mode": "lines"}
            trace(figure, place, f"{level:g} % interval", when + when[::-1], low + high[::-1], **band)
        trace(
            figure,
            place,
            "left",
            past["ds"].to_list(),
            (limit - past["spent"]).to_list(),
            mode="lines",
            line_color=GREY,
        )
        expected = [limit - one for one in (*start, *ahead["expected"])]
        trace(figure, place, "expected", when, expected, mode="lines", line_color=BLUE)
        if len(ahead) and row["run_rate"] is not None:
            ends, values = [when[0], when[-1]], [expected[0], limit - row["run_rate"]]
            dots = {"mode": "lines", "line_color": ORANGE, "line_dash": "dot"}
            trace(figure, place, "at the pace so far", ends, values, **dots)
        figure.add_hline(y=0, line_color=RED, line_width=1.5, row=place, col=1)
    dressed(figure, "Budget left" if len(rows) > 1 else f"Budget left: {titles[0]}", outlook.unit, outlook.sentence())
    if len(rows) == 1:
        figure.layout.annotations = ()
    return figure.update_layout(height=160 + 260 * len(rows))


def _titled(row: dict[str, object], unit: str) -> str:
    limit, odds = row["limit"], row["p_exceed"]
    assert isinstance(limit, float)
    told = f", {words.share(odds)} to be exceeded" if isinstance(odds, float) else ""
    return f"{row['budget']} of {words.amount(limit, unit)}{told}"
