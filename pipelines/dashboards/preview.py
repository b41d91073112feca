"""One HTML page a dashboard: its panels where Grafana would have them, drawn from what their own queries bring."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from pipelines.dashboards.answers import Answer, seconds
from pipelines.dashboards.ask import Asker, shown_by
from pipelines.dashboards.draw import chart, markup
from pipelines.dashboards.expand import Values
from pipelines.pages import replace, usable

Board = dict[str, Any]
STYLE = """
body{margin:12px;background:#f2f3f5;color:#1f2430;font:13px system-ui,sans-serif}
h1{font-size:19px;margin:0 0 2px}header p{margin:0 0 8px;color:#525a69}
header b{background:#fff;border:1px solid #d5d8de;border-radius:3px;padding:2px 7px;margin-right:6px;font-weight:400}
main{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:30px;gap:8px}
section{background:#fff;border:1px solid #dfe1e6;border-radius:3px;overflow:hidden;display:flex;flex-direction:column}
h2{grid-column:1/-1;font-size:14px;margin:6px 0 0;align-self:end}
h3{font-size:12.5px;margin:6px 9px 0;font-weight:600}h3 i{font-weight:400;color:#8a919e;margin-left:6px}
.plot{flex:1;min-height:0}.number{font-size:26px;font-weight:600;margin:auto;text-align:center}
.nothing,.fault{margin:auto;color:#8a919e}.fault{color:#c4303c;padding:6px}
.scroll{overflow:auto;padding:2px 9px}
table{border-collapse:collapse;width:100%;font-size:12px}
.rows th:not(.right){text-align:left}
.rows th{border-bottom:1px solid #dfe1e6;padding:3px 6px;color:#2f63b3;white-space:nowrap}
.rows td{padding:2.5px 6px;border-bottom:1px solid #f0f1f3;white-space:nowrap}
.right{text-align:right}
.bars{padding:4px 9px;display:block}.bars tbody{display:block}.bars tr{display:flex;align-items:center;padding:2px 0}
.bars th{font-weight:400;text-align:left;width:34%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bars .bar{flex:1;background:#f0f1f3;margin:0 8px}.bars i{display:block;height:14px}.bars td:last-child{width:74px}
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>{style}</style><script src="assets/plotly.min.js"></script>
<header><h1>{title}</h1><p>{said}</p><p>{chosen}</p></header><main>{panels}</main>
<script>for (const [id, figure] of Object.entries({figures}))
Plotly.newPlot(id, figure.data, figure.layout, {{responsive: true, displayModeBar: false}})
.then(plot => {{ plot.dataset.drawn = 1; }});</script></html>
"""


def preview(
    boards: Sequence[Board],
    asker: Asker,
    folder: Path,
    *,
    now: datetime | None = None,
    step: Callable[[], None] = lambda: None,
) -> list[Path]:
    """Write a page for each dashboard into `folder`; `step` is called after each panel.

    Raises:
        FileUnusable: the folder cannot be made or written to.
    """
    from plotly.offline import get_plotlyjs

    folder, now, pages = usable(folder), now or datetime.now(UTC), []
    (folder / "assets").mkdir(exist_ok=True)
    replace(folder / "assets/plotly.min.js", get_plotlyjs().encode())
    for board in boards:
        path = folder / f"{board['uid']}.html"
        replace(path, _page(board, asker, now, step).encode())
        pages.append(path)
    return pages


def _page(board: Board, asker: Asker, now: datetime, step: Callable[[], None]) -> str:
    values = asker.chosen(board, shown_by(board, {}, now))
    parts, figures, marks = [], {}, _marks(board, asker, values, now)
    for panel in board["panels"]:
        place = panel["gridPos"]
        row = f"grid-row:{place['y'] + 1}/span {place['h']}"
        if panel["type"] == "row":
            parts.append(f'<h2 style="{row}">{escape(panel["title"])}</h2>')
            continue
        shown = shown_by(board, panel, now)
        answers: list[Answer] = [asker.answer(each, values, shown) for each in panel["targets"] if asker.asks(each)]
        name = f"p{panel['id']}"
        figure = None
        if answers and panel["type"] in ("timeseries", "heatmap"):
            figure = chart(panel, answers, shown.since, shown.until, marks)
        if figure is not None:
            figures[name] = figure
        inner = f'<div class="plot" id="{name}"></div>' if figure else markup(panel, answers, now)
        title = f'<h3 title="{escape(panel["description"])}">{escape(panel["title"])}{_span(panel)}</h3>'
        style = f"{row};grid-column:{place['x'] + 1}/span {place['w']}"
        parts.append(f'<section style="{style}">{title}{inner}</section>')
        step()
    chosen = "".join(
        f"<b>{escape(each.get('label') or each['name'])}: {escape(_told(values[each['name']]))}</b>"
        for each in board["templating"]["list"]
        if each["type"] in ("query", "custom")
    )
    return PAGE.format(
        title=escape(board["title"]),
        said=escape(board["description"]),
        style=STYLE,
        chosen=chosen,
        panels="\n".join(parts),
        figures=json.dumps(figures).replace("</", "<\\/"),
    )


def _marks(board: Board, asker: Asker, values: Values, now: datetime) -> list[float]:
    """When the annotations of the store are, which are drawn into every panel."""
    asked = [each["target"] for each in board["annotations"]["list"] if "rawSql" in each["target"] and each["enable"]]
    answers = [asker.answer(each, values, shown_by(board, {}, now)) for each in asked if asker.asks(each)]
    return [seconds(row[answer.columns.index("time")]) for answer in answers for row in answer.rows]


def _span(panel: dict[str, Any]) -> str:
    return f"<i>last {escape(panel['timeFrom'])}</i>" if panel.get("timeFrom") else ""


def _told(values: str | Sequence[str]) -> str:
    if isinstance(values, str):
        return values
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "") if values else "none"
