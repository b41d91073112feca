"""`PrometheusConnect` for who knows it: the same methods, with times in UTC, and no sample twice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import prometheus_api_client as api
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from analytics.prom.server import DEFAULT_URL, Server
from store.errors import ParameterInvalid


class Connection(api.PrometheusConnect):  # type: ignore[misc]  # the package has no types
    """A `PrometheusConnect` that asks for each sample once."""

    def get_metric_range_data(
        self,
        metric_name: str,
        label_config: dict[str, str] | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        chunk_size: timedelta | None = None,
        store_locally: bool = False,  # noqa: FBT001, FBT002  # as the method that it stands for
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """The samples of a metric, each once: with `chunk_size`, the original has those at the seams twice.

        `start_time` and `end_time` need a zone, and count from now: the last ten minutes by default. The ends of
        the span belong to it as the server has it: both in Prometheus 2, the later one since 3.0.
        """
        end = end_time or datetime.now(UTC)
        start = start_time or end - timedelta(minutes=10)
        for name, when in (("start_time", start), ("end_time", end)):
            if when.tzinfo is None:
                raise ParameterInvalid(name, f"{when.isoformat()} has no time zone; write datetime(…, tzinfo=UTC)")
        found = super().get_metric_range_data(metric_name, label_config, start, end, chunk_size, store_locally, params)
        return _merged(found)


class MetricRangeDataFrame(api.MetricRangeDataFrame):  # type: ignore[misc]
    """The package's frame of a range, whose index `timestamp` is in UTC; without data it is empty, and no error."""

    def __init__(self, data: Any = None, *, ts_as_datetime: bool = True, **options: Any) -> None:
        if data:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The inplace keyword")  # the package's, and nothing a user could do
                super().__init__(data, ts_as_datetime=False, **options)
        else:
            pd.DataFrame.__init__(self, {"value": []}, index=pd.Index([], name="timestamp", dtype=float))  # type: ignore[call-arg]
        if ts_as_datetime:
            self.index = pd.DatetimeIndex(_in_utc(self.index), name="timestamp")  # type: ignore[has-type]


class MetricSnapshotDataFrame(api.MetricSnapshotDataFrame):  # type: ignore[misc]
    """The package's frame of one moment, whose column `timestamp` is in UTC; without data it is empty, and no error."""

    def __init__(self, data: Any = None, *, ts_as_datetime: bool = True, **options: Any) -> None:
        if data:
            super().__init__(data, ts_as_datetime=False, **options)
        else:
            pd.DataFrame.__init__(self, {"timestamp": [], "value": []}, dtype=float)  # type: ignore[call-arg]
        if ts_as_datetime:
            self["timestamp"] = _in_utc(self["timestamp"])


def connect(url: str | Server = DEFAULT_URL) -> Connection:
    """A `PrometheusConnect` of prometheus-api-client for a server, with its credentials, certificates and headers.

    Its errors are that package's own. `range` and `instant` read the same data many times as fast.

    Raises:
        ParameterInvalid: the address is none.
        FileUnusable: a file of a secret cannot be read.
    """
    server = url if isinstance(url, Server) else Server(url)
    auth, headers = server.authorization()
    session = Session()
    session.trust_env = not server.near
    session.verify = str(server.ca) if server.ca else True
    if server.certificate:
        session.cert = (str(server.certificate), str(server.key)) if server.key else str(server.certificate)
    retry = Retry(total=max(0, server.attempts - 1), backoff_factor=0.25, status_forcelist=[408, 429, 502, 503, 504])
    session.mount(server.url, HTTPAdapter(max_retries=retry))
    return Connection(
        url=server.url, headers=headers, auth=auth, session=session, retry=retry, timeout=server.timeout_s
    )


def _merged(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each series once, with each of its samples once."""
    series: dict[frozenset[tuple[str, str]], dict[str, Any]] = {}
    for part in found:
        known = series.setdefault(frozenset(part["metric"].items()), {"metric": part["metric"], "values": []})
        last = known["values"][-1][0] if known["values"] else None
        known["values"] += [value for value in part.get("values", ()) if last is None or value[0] > last]
    return list(series.values())


def _in_utc(seconds: Any) -> Any:
    """Unix seconds as times, whole to the millisecond."""
    return pd.to_datetime((seconds.astype(float) * 1000).round().astype("int64"), unit="ms", utc=True)
