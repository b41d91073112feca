"""What panels ask: PromQL of a Prometheus, and SQL of the store as Grafana's PostgreSQL data source has it.

The SDK has no type for that data source; `Sql` is one, in the way that the SDK foresees for queries of others. No panel
names a data source: each asks the one that the dashboard's variables `prometheus` and `store` stand for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Self

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models.common import DataSourceRef

POSTGRES = "grafana-postgresql-datasource"
STORE = DataSourceRef(type_val=POSTGRES, uid="${store}")
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${prometheus}")
QUERIES = Path(__file__).with_name("sql")


class Sql(Dataquery):
    """A query of the PostgreSQL data source, written by hand.

    Attributes:
        raw_sql: with Grafana's macros and variables.
        format_val: `table`, or `time_series`: a column `time`, texts that name the series, and numbers.
    """

    def __init__(self, raw_sql: str, format_val: str = "table", ref_id: str = "A") -> None:
        self.raw_sql, self.format_val, self.ref_id = raw_sql, format_val, ref_id

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": STORE,
            "editorMode": "code",
            "format": self.format_val,
            "rawQuery": True,
            "rawSql": self.raw_sql,
            "refId": self.ref_id,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["rawSql"], data["format"], data["refId"])


class _Sql(Builder[Dataquery]):
    def __init__(self, raw_sql: str, format_val: str) -> None:
        self._query = Sql(raw_sql, format_val)

    def ref_id(self, name: str) -> Self:
        self._query.ref_id = name
        return self

    def build(self) -> Dataquery:
        return self._query


Target = _Sql | prometheus.Dataquery


def register() -> None:
    """Let the SDK read dashboards: its own kinds of panels and queries, and ours."""
    plugins.register_default_plugins()
    runtime.register_dataquery_variant(runtime.DataqueryConfig(POSTGRES, Sql.from_json))


def prom(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A PromQL expression over the time that is shown; `legend` names each series, as `{{queue}}`."""
    return _prom(expr).legend_format(legend or "__auto").range()


def now(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A PromQL expression at the end of the time that is shown."""
    return _prom(expr).legend_format(legend or "__auto").instant()


def rows(expr: str) -> prometheus.Dataquery:
    """The same as rows of a table: a column for each label, and one for the value."""
    return _prom(expr).instant().format(prometheus_models.PromQueryFormat.TABLE)


def heat(expr: str) -> prometheus.Dataquery:
    """Buckets of a histogram, over the time that is shown."""
    return _prom(expr).legend_format("{{le}}").range().format(prometheus_models.PromQueryFormat.HEATMAP)


def sql(name: str, **words: str) -> _Sql:
    """The query `sql/NAME.sql`, as a table, with `words` in the place of their names in it."""
    return _Sql(query(name, **words), "table")


def sql_series(name: str, **words: str) -> _Sql:
    """The same as series over time."""
    return _Sql(query(name, **words), "time_series")


@cache
def query(name: str, **words: str) -> str:
    """The text of `sql/NAME.sql` without its comments, with `words` in the place of `{their names}`."""
    lines = (QUERIES / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("--")).strip().rstrip(";")
    for word, meant in words.items():
        text = text.replace(f"{{{word}}}", meant)
    return text


def _prom(expr: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(" ".join(expr.split())).datasource(PROMETHEUS)
