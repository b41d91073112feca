"""What can be named in a query: tables, columns and metrics, asked for once a minute; no answer is no error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from store.errors import GaugebookError

FRESH_S = 60.0
PATIENCE_S = 2  # of a database or a Prometheus that does not answer while somebody types

T = TypeVar("T")
_kept: dict[tuple[str, str], tuple[float, Any]] = {}


def tables() -> dict[str, list[str]]:
    """The columns of each table of ours, by `schema.table`; none where the database does not answer."""
    from store.settings import load

    settings = load()
    key = str(hash((settings.dsn, settings.dsn_read, settings.database)))
    return _fresh("tables", key, _tables, {})


def metrics(url: str) -> list[str]:
    """The names of all metrics of a Prometheus; none where it does not answer."""
    return _fresh("metrics", url, lambda: _labels(url, "__name__"), [])


def labels(url: str) -> list[str]:
    """The names of all labels."""
    return _fresh("labels", url, lambda: _asked(url, "labels"), [])


def label_values(url: str, name: str) -> list[str]:
    """The values of a label."""
    return _fresh(f"label {name}", url, lambda: _labels(url, name), [])


def forget() -> None:
    """Ask again next time."""
    _kept.clear()


def _fresh(what: str, of: str, ask: Callable[[], T], nothing: T) -> T:
    known = _kept.get((what, of))
    if known is None or time.monotonic() - known[0] > FRESH_S:
        try:
            found = ask()
        except (GaugebookError, OSError, ValueError):
            found = nothing  # an error while somebody types would only be in the way
        known = _kept[what, of] = (time.monotonic(), found)
    answer: T = known[1]
    return answer


def _tables() -> dict[str, list[str]]:
    from store.read import read
    from store.settings import load

    made: dict[str, list[str]] = {}
    for table, column in read(load(connect_timeout_s=PATIENCE_S), "table_columns").iter_rows():
        made.setdefault(table, []).append(column)
    return made


def _labels(url: str, name: str) -> list[str]:
    return _asked(url, f"label/{name}/values")


def _asked(url: str, path: str) -> list[str]:
    import httpx2

    from analytics.prom.server import Server

    server = Server(url)
    auth, headers = server.authorization()
    options: dict[str, Any] = {"auth": auth, "headers": headers, "timeout": PATIENCE_S, "trust_env": not server.near}
    try:
        answer = httpx2.get(f"{server.url}/api/v1/{path}", verify=server.tls() or False, **options)
    except httpx2.HTTPError as error:
        raise OSError(str(error)) from error
    return [str(one) for one in answer.json().get("data", [])]
