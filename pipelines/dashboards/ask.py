"""Asks what panels ask: a Prometheus by its API, the store as the role of Grafana."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx2
import psycopg
from psycopg import sql as text

from pipelines.dashboards import expand
from pipelines.dashboards.answers import Answer, Number, Series, series_of
from pipelines.dashboards.expand import Shown, Unexpanded, Values
from store.connect import connect
from store.errors import StoreError
from store.roles import group
from store.settings import Settings

TIMEOUT_S = 30
LABEL_VALUES = re.compile(r"label_values\((?:(.+),\s*)?(\w+)\)")
_LEGEND = re.compile(r"{{\s*(\w+)\s*}}")
Json = dict[str, Any]


@dataclass
class Asker:
    """Where panels ask. Without a Prometheus or a store, what would ask it is not asked.

    Attributes:
        prometheus: its address.
        store: where the store is; it is read as a member of `gaugebook_grafana`, in a transaction that changes nothing.
    """

    prometheus: str = ""
    store: Settings | None = None
    _client: httpx2.Client | None = field(default=None, repr=False)

    def asks(self, target: Json) -> bool:
        """Whether a query has anybody to ask."""
        return bool(self.prometheus) if "expr" in target else self.store is not None

    def answer(self, target: Json, values: Values, shown: Shown) -> Answer:
        """What a query of a panel brings; an error of the server or of the query is in the answer."""
        began = time.perf_counter()
        try:
            found = self._promql(target, values, shown) if "expr" in target else self._sql(target, values, shown)
        except Unexpanded as error:
            found = Answer(target["refId"], error=f"{error} is no macro or variable that is known")
        return replace(found, took_ms=(time.perf_counter() - began) * 1000)

    def chosen(self, board: Json, shown: Shown, wanted: Values | None = None) -> dict[str, str | Sequence[str]]:
        """The values of all variables of a dashboard: those `wanted`, else all that are found or the first."""
        wanted = wanted or {}
        values: dict[str, str | Sequence[str]] = {"prometheus": "prometheus", "store": "store"}
        for variable in board["templating"]["list"]:
            name = variable["name"]
            if name in wanted:
                values[name] = wanted[name]
            elif variable["type"] in ("constant", "custom"):
                values[name] = variable.get("current", {}).get("value") or variable["query"]
            elif variable["type"] == "query":
                found = self._values(variable, values, shown)
                values[name] = found if variable.get("includeAll") else next(iter(found), "")
        return values

    def close(self) -> None:
        """Let go of the connection to Prometheus."""
        if self._client is not None:
            self._client.close()

    def _values(self, variable: Json, values: Values, shown: Shown) -> list[str]:
        query = variable["query"]
        if not isinstance(query, str):  # of Prometheus: label_values(series, label)
            if not self.prometheus:
                return []
            asked = LABEL_VALUES.fullmatch(query["query"])
            if asked is None:
                raise StoreError(f"variable {variable['name']}: {query['query']} is not label_values(series, label)")
            match = {"match[]": expand.promql(asked[1], values, shown)} if asked[1] else {}
            span = {"start": shown.since.timestamp(), "end": shown.until.timestamp()}
            told = self._get(f"/api/v1/label/{asked[2]}/values", match | span)
            return [str(value) for value in told["data"]]
        if self.store is None:
            return []
        answer = self._rows(variable["name"], expand.sql(query, values, shown))
        if answer.error:
            raise StoreError(f"variable {variable['name']}: {answer.error}")
        return [str(row[0]) for row in answer.rows]

    def _promql(self, target: Json, values: Values, shown: Shown) -> Answer:
        asked: dict[str, Any] = {"query": expand.promql(target["expr"], values, shown)}
        if target.get("range"):
            # As Grafana does it: on whole steps, so that a refresh asks for the same points again.
            step = shown.step_s
            start = shown.since.timestamp() // step * step
            told = self._get(
                "/api/v1/query_range", asked | {"start": start, "end": shown.until.timestamp(), "step": step}
            )
        else:
            told = self._get("/api/v1/query", asked | {"time": shown.until.timestamp()})
        if told["status"] != "success":
            return Answer(target["refId"], error=told["error"])
        found = told["data"]["result"]
        if told["data"]["resultType"] == "scalar":
            found = [{"metric": {}, "value": found}]
        return Answer(target["refId"], series=tuple(_series(one, target.get("legendFormat", "")) for one in found))

    def _get(self, path: str, asked: dict[str, Any]) -> Json:
        if self._client is None:
            self._client = httpx2.Client(base_url=self.prometheus, timeout=TIMEOUT_S)
        try:
            answer = self._client.get(path, params=asked)
            return dict(answer.json())
        except (httpx2.HTTPError, ValueError) as error:
            raise StoreError(f"Prometheus at {self.prometheus} does not answer: {error}") from error

    def _sql(self, target: Json, values: Values, shown: Shown) -> Answer:
        answer = self._rows(target["refId"], expand.sql(target["rawSql"], values, shown))
        if target["format"] == "time_series" and answer.rows:
            return Answer(target["refId"], series=series_of(answer.columns, answer.rows))
        return answer

    def _rows(self, ref: str, query: str) -> Answer:
        assert self.store is not None
        with connect(self.store) as connection:
            connection.read_only = True
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.execute(text.SQL("SET LOCAL ROLE {}").format(text.Identifier(group("grafana"))))
                    cursor.execute("SET LOCAL statement_timeout = '10s'")
                    cursor.execute(query.encode())
                    columns = tuple(column.name for column in cursor.description or ())
                    return Answer(ref, columns=columns, rows=tuple(cursor.fetchall()))
            except psycopg.Error as error:
                return Answer(ref, error=str(error).splitlines()[0])


def shown_by(board: Json, panel: Json, now: datetime) -> Shown:
    """The time that a panel shows when its dashboard is opened at `now`."""
    least = expand.seconds(panel["interval"]) if panel.get("interval") else 0
    given = board["time"]
    if panel.get("timeFrom"):
        return Shown(expand.moment(f"now-{panel['timeFrom']}", now), now, least_s=least)
    return Shown(expand.moment(given["from"], now), expand.moment(given["to"], now), least_s=least)


def _series(found: Json, legend: str) -> Series:
    labels = {name: value for name, value in found["metric"].items() if name != "__name__"}
    given: Sequence[Sequence[Any]] = found["values"] if "values" in found else [found["value"]]
    if legend and legend != "__auto":
        name = _LEGEND.sub(lambda match: found["metric"].get(match[1], ""), legend).strip()
    else:
        name = ", ".join(labels.values())
    return Series(name, [float(at) for at, _ in given], [_number(value) for _, value in given], labels)


def _number(value: str) -> Number:
    number = float(value)
    return number if number - number == 0 else None  # Grafana draws neither NaN nor infinity
