"""A dashboard: rows of panels under variables, with links to the others, to the report of the day and to runbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from pipelines.dashboards.panels import Panel
from pipelines.dashboards.sources import POSTGRES, PROMETHEUS, STORE, prom, query, sql

REPORTS = "http://127.0.0.1:8790"  # where `gaugebook report serve` shows them
RUNBOOKS = "https://runbooks.example/gaugebook"  # where docs/runbooks is shown
TAG = "gaugebook"
Variable = (
    dashboard.QueryVariable | dashboard.DatasourceVariable | dashboard.ConstantVariable | dashboard.CustomVariable
)


@dataclass(frozen=True)
class Places:
    """Where links lead: the folder of reports, and the pages of the runbooks."""

    reports: str = REPORTS
    runbooks: str = RUNBOOKS


def of_prometheus(name: str, label: str, asked: str, *, several: bool = True) -> Variable:
    """A variable whose values a label has, as `label_values(…)`; `several` and all, or just one of them."""
    made = dashboard.QueryVariable(name).label(label).query({"query": asked, "refId": name}).definition(asked)
    return _chosen(made.datasource(PROMETHEUS), several=several)


def of_store(name: str, label: str, asked: str, *, several: bool = True) -> Variable:
    """A variable whose values the query `sql/NAME.sql` finds."""
    text = query(asked)
    made = dashboard.QueryVariable(name).label(label).query(text).definition(text).datasource(STORE)
    return _chosen(made, several=several)


def choice(name: str, label: str, values: Sequence[str], default: str) -> Variable:
    """A variable with a few fixed values."""
    options = [models.VariableOption(text=value, value=value, selected=value == default) for value in values]
    current = models.VariableOption(text=default, value=default, selected=True)
    made = dashboard.CustomVariable(name).label(label).values(",".join(values)).options(options).current(current)
    return made.allow_custom_value(allow_custom_value=False)


def board(
    uid: str,
    title: str,
    said: str,
    rows: Mapping[str, Sequence[Panel]],
    *,
    variables: Sequence[Variable] = (),
    report: str,
    runbook: str = "",
    anomalies: Literal["llm", "queues"] | None = None,
    since: str = "now-6h",
    until: str = "now",
    refresh: str = "30s",
    places: Places | None = None,
) -> dashboard.Dashboard:
    """A dashboard whose panels stand in rows, each as wide as it says, 24 across.

    It links to the `report` of the day and to the page `runbook` (none: the index of all), draws the findings of
    `anomalies` ("llm" or "queues") into its panels, shows the time from `since` to `until`, asks again every `refresh`.
    """
    places = places or Places()
    made = dashboard.Dashboard(title).uid(uid).description(said).tags([TAG]).readonly()
    made.time(since, until).refresh(refresh).timezone("utc").tooltip(models.DashboardCursorSync.CROSSHAIR)
    made.timepicker(dashboard.TimePicker().refresh_intervals(["15s", "30s", "1m", "5m", "15m", "1h"]))
    made.with_variable(_source("prometheus", "Prometheus", "prometheus"))
    made.with_variable(_source("store", "Store", POSTGRES))
    for variable in variables:
        made.with_variable(variable)
    made.with_variable(_constant("reports", "Reports", places.reports))
    made.with_variable(_constant("runbooks", "Runbooks", places.runbooks))
    others = dashboard.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    made.link(others.as_dropdown(as_dropdown=True).keep_time(keep_time=True).include_vars(include_vars=True))
    made.link(_link("Report of the day", f"${{reports}}/{report}.html", "doc"))
    made.link(_link("Runbook", f"${{runbooks}}/{runbook or 'README'}.md", "question"))
    if anomalies:
        made.annotation(_found(anomalies))
    made.annotation(_alerts())
    number = 0
    for name, panels in rows.items():
        number += 1
        made.with_row(dashboard.Row(name).id(number))
        for panel in panels:
            number += 1
            made.with_panel(panel.id(number))
    return made


def _chosen(made: dashboard.QueryVariable, *, several: bool) -> Variable:
    made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
    if several:
        every = models.VariableOption(text="All", value="$__all", selected=True)
        made.multi(multi=True).include_all(include_all=True).current(every)
    return made


def _source(name: str, label: str, kind: str) -> Variable:
    return dashboard.DatasourceVariable(name).label(label).type(kind)


def _constant(name: str, label: str, value: str) -> Variable:
    return dashboard.ConstantVariable(name).label(label).value(value)


def _link(title: str, url: str, icon: str) -> dashboard.DashboardLink:
    made = dashboard.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).icon(icon)
    return made.target_blank(target_blank=True)


def _found(where: Literal["llm", "queues"]) -> dashboard.AnnotationQuery:
    """What the analyses found unusual, where the store has it."""
    target = sql("anomalies", matches={"llm": "~", "queues": "!~"}[where]).ref_id("Anomalies")
    made = dashboard.AnnotationQuery().name("Anomalies").datasource(STORE).icon_color("orange")
    return made.enable(enable=True).target(target)


def _alerts() -> dashboard.AnnotationQuery:
    """Where a page fires."""
    target = prom('ALERTS{alertstate="firing", severity="critical"}').ref_id("Alerts")
    made = dashboard.AnnotationQuery().name("Pages").datasource(PROMETHEUS).icon_color("red")
    return made.enable(enable=True).title_format("{{alertname}}").text_format("{{queue}}{{model}}").target(target)
