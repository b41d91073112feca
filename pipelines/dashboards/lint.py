"""Rules that hold for every dashboard: those of Grafana's dashboard-linter that concern us, and a few of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from grafana_foundation_sdk.models import dashboard as models

from pipelines.dashboards.build import written
from pipelines.dashboards.expand import used
from pipelines.dashboards.sources import register

Board = dict[str, Any]
SOURCES = {"${prometheus}": "prometheus", "${store}": "grafana-postgresql-datasource"}
RATES = re.compile(r"\b(?:rate|irate|increase)\([^[]*\[([^\]]+)\]")
COUNTER = re.compile(r"\b([a-z_]\w*(?:_total|_bucket|_sum|_count))\b(?!:)")
# Seconds of a window that is part of what a panel says: a burn rate of an hour is one of an hour, whatever is shown.
NAMED_WINDOWS = {"$__rate_interval", "$__range", "5m", "30m", "1h", "6h", "1d", "3d", "30d"}
GAUGES_THAT_END_LIKE_COUNTERS: frozenset[str] = frozenset()


def problems(board: Board, others: Sequence[Board] = ()) -> list[str]:
    """What is wrong with a dashboard, each with its place; `others` are all that links may lead to."""
    return [*_whole(board), *_variables(board), *_layout(board), *_links(board, others), *_panels(board)]


def panels(board: Board) -> list[dict[str, Any]]:
    """The panels of a dashboard, rows left out."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def _whole(board: Board) -> Iterator[str]:
    register()
    text = written(board)
    if written(models.Dashboard.from_json(board)) != text:
        yield "the SDK reads it and writes something else: it has fields that no Grafana knows"
    if board.get("editable", True):
        yield "it can be edited: changes would be lost with the next provisioning"
    for name in ("uid", "title", "description", "tags"):
        if not board.get(name):
            yield f"no {name}"


def _variables(board: Board) -> Iterator[str]:
    listed = {variable["name"]: variable for variable in board["templating"]["list"]}
    for uid, kind in SOURCES.items():
        name = uid[2:-1]
        if listed.get(name, {}).get("type") != "datasource" or listed[name].get("query") != kind:
            yield f"no variable {name} of the data sources {kind}"
    text = written({key: value for key, value in board.items() if key != "templating"})
    wanted = used(text)
    for variable in listed.values():
        wanted |= used(written(variable["query"]))
        if variable["type"] == "query":
            if variable.get("refresh") != models.VariableRefresh.ON_TIME_RANGE_CHANGED:
                yield f"variable {variable['name']} does not look again when the time changes"
            if variable["datasource"]["uid"] not in SOURCES:
                yield f"variable {variable['name']} names a data source"
        if not variable.get("label") and variable.get("hide") != models.VariableHide.HIDE_VARIABLE:
            yield f"variable {variable['name']} has no label"
    for name in sorted(wanted - set(listed)):
        yield f"${name} is used and is no variable"
    for name in sorted(set(listed) - wanted - {"prometheus", "store"}):
        yield f"variable {name} is used nowhere"


def _layout(board: Board) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) < len(ids):
        yield "two panels have the same id"
    for panel in board["panels"]:
        place, title = panel["gridPos"], panel["title"]
        if place["x"] + place["w"] > 24:
            yield f"{title}: reaches beyond the right edge"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                if (x, y) in taken:
                    yield f"{title}: lies on {taken[x, y]}"
                    return
                taken[x, y] = title


def _links(board: Board, others: Sequence[Board]) -> Iterator[str]:
    known = {other["uid"] for other in others} or {board["uid"]}
    for uid in sorted(set(re.findall(r"/d/([\w-]+)", written(board)))):
        if others and uid not in known:
            yield f"a link leads to {uid}, which is no dashboard"
    for name in ("${reports}", "${runbooks}"):
        if not any(name in link.get("url", "") for link in board["links"]):
            yield f"no link to {name}"


def _panels(board: Board) -> Iterator[str]:
    titles = [panel["title"] for panel in panels(board)]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield f"{title}: two panels are called so"
    for panel in panels(board):
        for problem in _panel(panel):
            yield f"{panel['title']}: {problem}"


def _panel(panel: dict[str, Any]) -> Iterator[str]:
    if not panel.get("title") or not panel.get("description"):
        yield "no title or no description"
    if panel["type"] != "table" and not panel["fieldConfig"]["defaults"].get("unit"):
        yield "no unit"
    targets = panel.get("targets", [])
    if not targets:
        yield "asks nothing"
    if len({target["refId"] for target in targets}) < len(targets):
        yield "two queries have the same refId"
    if panel["type"] == "timeseries" and not panel["options"]["legend"]["showLegend"]:
        yield "no legend"
    for place in (panel, *targets):
        if SOURCES.get(place.get("datasource", {}).get("uid")) != place.get("datasource", {}).get("type"):
            yield f"{place.get('refId', 'the panel')} names a data source, or none"
    for target in targets:
        if "expr" in target:
            yield from _promql(target, several=panel["type"] in ("timeseries", "bargauge"))


def _promql(target: dict[str, Any], *, several: bool) -> Iterator[str]:
    expr, ref = target["expr"], target["refId"]
    for window in RATES.findall(expr):
        if window not in NAMED_WINDOWS:
            yield f"{ref} rates over {window}, where it should over $__rate_interval"
    bare = RATES.sub("", re.sub(r'"[^"]*"', '""', expr))
    for counter in COUNTER.findall(bare):
        if counter not in GAUGES_THAT_END_LIKE_COUNTERS:
            yield f"{ref} shows the counter {counter} as it is; it wants rate or increase"
    if several and target.get("legendFormat") in (None, "", "__auto"):
        yield f"{ref} does not name its series"
