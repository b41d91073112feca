"""Grafana's macros and variables, put in as its Prometheus and PostgreSQL data sources do it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Of each variable what is chosen: a text, or some where it takes several.
Values = Mapping[str, str | Sequence[str]]
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2_592_000, "y": 31_536_000}
# The steps that Grafana rounds the distance of two points to.
NICE_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::(\w+))?\}|\$([A-Za-z_]\w*)")  # and $1 is one of label_replace
_MACRO = re.compile(r"\$__(\w+)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?")
_REGEX = re.compile(r"([\\^$*+?.()|\[\]{}/])")


class Unexpanded(ValueError):
    """A macro or a variable that nothing is known of."""


@dataclass(frozen=True)
class Shown:
    """The time that a panel shows, UTC, and how many points fit into it.

    Attributes:
        scrape_s: the scrape interval that the data source is told, 15 s by default.
        least_s: the least time between two points of the panel.
    """

    since: datetime
    until: datetime
    points: int = 600
    scrape_s: float = 15
    least_s: float = 0

    @property
    def step_s(self) -> float:
        """Seconds between two points, `$__interval`."""
        wanted = max((self.until - self.since).total_seconds() / self.points, self.least_s, self.scrape_s)
        return next((step for step in NICE_S if step >= wanted), NICE_S[-1])

    @property
    def rate_s(self) -> float:
        """`$__rate_interval`: never less than four scrapes."""
        return max(self.step_s + self.scrape_s, 4 * self.scrape_s)


def seconds(text: str) -> float:
    """A duration in Grafana's writing.

    >>> seconds("15s"), seconds("7d")
    (15.0, 604800.0)
    """
    found = re.fullmatch(r"(\d+)\s*(ms|[smhdwMy])", text.strip().strip("'"))
    if found is None:
        raise Unexpanded(f"{text!r} is no duration")
    return float(int(found[1]) * SECONDS[found[2]])


def moment(text: str, now: datetime) -> datetime:
    """A time in Grafana's writing.

    >>> moment("now-6h", datetime(2026, 11, 1, 12, tzinfo=UTC)).hour
    6
    """
    found = re.fullmatch(r"now(?:([+-])(\d+[smhdwMy]))?", text)
    if found is None:
        raise Unexpanded(f"{text!r} is no time")
    ahead = timedelta(seconds=seconds(found[2])) if found[2] else timedelta()
    return now - ahead if found[1] == "-" else now + ahead


def promql(text: str, values: Values, shown: Shown) -> str:
    r"""An expression as Prometheus is asked it. Several values become `(a|b)`, and `=~` matches them.

    >>> at = Shown(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, 1, tzinfo=UTC))
    >>> promql('rate(up{job=~"$job"}[$__rate_interval])', {"job": ["a.b", "c"]}, at)
    'rate(up{job=~"(a\\\\.b|c)"}[60s])'

    Raises:
        Unexpanded: a macro or variable is not known.
    """

    def macro(found: re.Match[str]) -> str:
        span_s = (shown.until - shown.since).total_seconds()
        known = {
            "interval": f"{shown.step_s:g}s",
            "interval_ms": f"{shown.step_s * 1000:.0f}",
            "rate_interval": f"{shown.rate_s:g}s",
            "range": f"{span_s:.0f}s",
            "range_s": f"{span_s:.0f}",
        }
        if found[1] not in known:
            raise Unexpanded(f"$__{found[1]}")
        return known[found[1]]

    def variable(found: re.Match[str]) -> str:
        chosen = _chosen(found[1] or found[3], values)
        if isinstance(chosen, str):
            return _quoted(chosen)
        if len(chosen) == 1:
            return _pattern(chosen[0])
        return f"({'|'.join(_pattern(each) for each in chosen)})"

    return _VARIABLE.sub(variable, re.sub(r"\$__(\w+)", macro, text))


def sql(text: str, values: Values, shown: Shown) -> str:
    """A query as PostgreSQL is asked it.

    >>> at = Shown(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    >>> sql("SELECT $__timeFilter(ts), team IN (${team:sqlstring})", {"team": ["o'x", "b"]}, at)
    "SELECT ts BETWEEN '2026-11-01T00:00:00Z' AND '2026-11-02T00:00:00Z', team IN ('o''x','b')"

    Raises:
        Unexpanded: a macro or variable is not known.
    """

    def macro(found: re.Match[str]) -> str:
        name, given = found[1], [part.strip() for part in (found[2] or "").split(",")]
        if name in ("timeFilter", "timeFrom", "timeTo"):
            since, until = _written(shown.since), _written(shown.until)
            return {"timeFilter": f"{given[0]} BETWEEN {since} AND {until}", "timeFrom": since, "timeTo": until}[name]
        if name in ("timeGroup", "timeGroupAlias"):
            width_s = shown.step_s if given[1] == "$__interval" else seconds(given[1])
            group = f"floor(extract(epoch from {given[0]})/{width_s:g})*{width_s:g}"
            return f'{group} AS "time"' if name.endswith("Alias") else group
        if name == "interval":
            return f"{shown.step_s:g}s"
        raise Unexpanded(f"$__{name}")

    def variable(found: re.Match[str]) -> str:
        given = _chosen(found[1] or found[3], values)
        chosen = [given] if isinstance(given, str) else given
        if found[2] == "raw":
            return ",".join(chosen)
        if found[2] == "sqlstring":
            return ",".join("'" + each.replace("'", "''") + "'" for each in chosen) or "NULL"
        raise Unexpanded(f"{found[0]}: say ${{{found[1] or found[3]}:sqlstring}} or :raw")

    return _VARIABLE.sub(variable, _MACRO.sub(macro, text))


def used(text: str) -> set[str]:
    """The variables that a text names, Grafana's own left out.

    >>> sorted(used("${team:sqlstring} $cluster $__interval"))
    ['cluster', 'team']
    """
    found = {one or other for one, _, other in _VARIABLE.findall(text)}
    return {name for name in found if not name.startswith("__")}


def _chosen(name: str, values: Values) -> str | Sequence[str]:
    if name not in values:
        raise Unexpanded(f"${name}")
    return values[name]


def _written(at: datetime) -> str:
    return f"'{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'"


def _pattern(value: str) -> str:
    """A value as a part of a regular expression within a text of PromQL."""
    return _REGEX.sub(r"\\\\\1", value).replace('"', r"\"")


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"")
