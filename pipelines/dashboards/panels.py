"""The kinds of panels that our dashboards are made of: each with a title, what it says, a unit and its queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

from pipelines.dashboards.sources import PROMETHEUS, STORE, Sql, Target

P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, heatmap.Panel)
Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | heatmap.Panel
Steps = Sequence[tuple[float | None, str]]  # from this value on, this colour; the first has none
Names = Sequence[tuple[float, str, str]]  # what a value means, and its colour

GOOD, WATCH, BAD, PLAIN = "green", "orange", "red", "blue"
UP = ((0.0, "down", BAD), (1.0, "up", GOOD))
YES_IS_BAD = ((0.0, "no", GOOD), (1.0, "yes", BAD))
NONE_IS_WELL = ((None, GOOD), (0.001, BAD))
HIDE_LEGEND = {"legend": True, "tooltip": False, "viz": False}
BLUE = DynamicConfigValue("color", {"mode": "fixed", "fixedColor": PLAIN})


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is called there, its unit, and where a press on it leads."""

    title: str = ""
    unit: str = ""
    link: str = ""
    width: int = 0
    steps: Steps = ()


def lines(
    title: str,
    said: str,
    unit: str,
    *targets: Target,
    width: int = 8,
    height: int = 8,
    stacked: bool = False,
    bars: bool = False,
    fan: bool = False,
    least: float | None = 0,
    most: float | None = None,
    steps: Steps = (),
    interval: str = "",
    span: str = "",
) -> timeseries.Panel:
    """Series over time: lines or `bars`, `stacked` one on the other or not, on an axis from `least` to `most`.

    Of a `fan`, the series `lower 95`, `upper 95`, `lower 80` and `upper 80` are the edges of bands. `steps` are lines
    across at these values, `interval` is the least time between two points, as `1h`; `span` is how far back, whatever
    the dashboard shows.
    """
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(show_legend=True)
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    panel = timeseries.Panel().title(title).description(said).unit(unit).span(width).height(height)
    panel.legend(legend.placement(kinds.LegendPlacement.BOTTOM)).tooltip(tooltip)
    panel.line_width(1).fill_opacity(80 if bars else 25 if stacked else 8).show_points(kinds.VisibilityMode.NEVER)
    if bars:
        panel.draw_style(kinds.GraphDrawStyle.BARS)
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if least is not None:
        panel.min(least)
    if most is not None:
        panel.max(most)
    if steps:
        panel.thresholds(_thresholds(steps))
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    if fan:
        _band(panel, "95", 15)
        _band(panel, "80", 30)
    if interval:
        panel.interval(interval)
    if span:
        panel.time_from(span)
    return _with(panel, targets)


def number(
    title: str,
    said: str,
    unit: str,
    *targets: Target,
    width: int = 4,
    height: int = 4,
    steps: Steps = ((None, PLAIN),),
    decimals: int | None = None,
    names: Names = (),
    span: str = "",
) -> stat.Panel:
    """One figure, the latest, large; `names` say what a value means, and its colour."""
    panel = stat.Panel().title(title).description(said).unit(unit).span(width).height(height)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    ranges = all(not isinstance(each.build(), Sql) and getattr(each.build(), "range_val", False) for each in targets)
    panel.graph_mode(kinds.BigValueGraphMode.AREA if ranges and not names else kinds.BigValueGraphMode.NONE)
    panel.color_mode(kinds.BigValueColorMode.VALUE).thresholds(_thresholds(steps)).no_value("-")
    if decimals is not None:
        panel.decimals(decimals)
    if names:
        panel.mappings([_mapping(names)])
    if span:
        panel.time_from(span)
    return _with(panel, targets)


def ranking(
    title: str, said: str, unit: str, *targets: Target, width: int = 8, height: int = 8, steps: Steps = ((None, PLAIN),)
) -> bargauge.Panel:
    """A bar for each series, its latest value."""
    panel = bargauge.Panel().title(title).description(said).unit(unit).span(width).height(height).min(0)
    panel.orientation(kinds.VizOrientation.HORIZONTAL).display_mode(kinds.BarGaugeDisplayMode.BASIC)
    values = any(isinstance(each.build(), Sql) for each in targets)  # of a table each row is one
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(values=values))
    return _with(panel.thresholds(_thresholds(steps)).no_value("-"), targets)


def listing(
    title: str,
    said: str,
    columns: Mapping[str, Column],
    *targets: Target,
    width: int = 24,
    height: int = 9,
    sort: str = "",
) -> table.Panel:
    """A table of the columns that are named, in their order. Of several queries, rows with the same labels are one."""
    panel = table.Panel().title(title).description(said).span(width).height(height).no_value("-")
    panel.filterable(filterable=True)
    if any(not isinstance(each.build(), Sql) for each in targets):
        order = {
            "excludeByName": {},
            "indexByName": {name: place for place, name in enumerate(columns)},
            "renameByName": {name: column.title for name, column in columns.items() if column.title},
        }
        panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
        wanted = {"include": {"names": list(columns)}}
        panel.with_transformation(DataTransformerConfig(id_val="filterFieldsByName", options=wanted))
        panel.with_transformation(DataTransformerConfig(id_val="organize", options=order))
    for name, column in columns.items():
        said_of = [DynamicConfigValue("unit", column.unit)] if column.unit else []
        if column.link:
            said_of.append(DynamicConfigValue("links", [{"title": "open", "url": column.link}]))
        if column.width:
            said_of.append(DynamicConfigValue("custom.width", column.width))
        if column.steps:
            said_of.append(DynamicConfigValue("thresholds", _thresholds(column.steps).build()))
            said_of.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        if said_of:
            panel.override_by_name(column.title or name, said_of)
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort).desc(desc=True)])
    return _with(panel, targets)


def cloud(title: str, said: str, unit: str, target: Target, *, width: int = 12, height: int = 8) -> heatmap.Panel:
    """How a histogram moves: time across, its buckets up, darker where more is."""
    panel = heatmap.Panel().title(title).description(said).unit(unit).span(width).height(height)
    panel.calculate(calculate=False).color(heatmap.HeatmapColorOptions().scheme("Blues").steps(64))
    panel.y_axis(heatmap.YAxisConfig().unit(unit))
    return _with(panel, (target,))


def _with(panel: P, targets: Sequence[Target]) -> P:
    for name, target in zip("ABCDEFGHIJKLMNOP", targets, strict=False):
        panel.with_target(target.ref_id(name))
    panel.datasource(STORE if isinstance(targets[0].build(), Sql) else PROMETHEUS)
    return panel


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def _mapping(names: Names) -> ValueMap:
    return ValueMap({f"{value:g}": ValueMappingResult(text=text, color=color) for value, text, color in names})


def _band(panel: timeseries.Panel, level: str, opacity: int) -> None:
    """Fill between the two edges of an interval, and draw neither."""
    edge = [DynamicConfigValue("custom.lineWidth", 0), DynamicConfigValue("custom.hideFrom", HIDE_LEGEND)]
    panel.override_by_name(f"lower {level}", [*edge, DynamicConfigValue("custom.fillOpacity", 0), BLUE])
    below = DynamicConfigValue("custom.fillBelowTo", f"lower {level}")
    panel.override_by_name(f"upper {level}", [*edge, below, DynamicConfigValue("custom.fillOpacity", opacity), BLUE])
