"""What a collector shows to Prometheus: its own health, and a server for the whole registry."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from store.errors import SettingsError
from store.settings import Settings
from store.tally import REASONS, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FAST = 1  # of zlib's nine levels: a page of 50,000 series takes 0.03 s
GZIP = 31  # zlib's word for the format of gzip


class Health:
    """The health of the collector `collector`, as metrics of `registry`."""

    def __init__(self, collector: str, registry: CollectorRegistry) -> None:
        self.collector, self.registry = collector, registry

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"gaugebook_collector_{name}", text, ["collector"], registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gaugebook_collector_{name}", text, ["collector", *labels], registry=registry)

        self._last_success = gauge("last_success_timestamp_seconds", "When the source last answered.").labels(collector)
        self._duration = gauge("duration_seconds", "How long the last collection took.").labels(collector)
        self._buffered = gauge("rows_buffered", "Rows that wait for the database.").labels(collector)
        self._bytes = gauge("buffered_bytes", "Bytes on disk of the rows that wait.").labels(collector)
        self._limit = gauge(
            "spool_limit_bytes", "Bytes that may wait on disk; beyond it the oldest are dropped."
        ).labels(collector)
        self._oldest = gauge("oldest_buffered_seconds", "How long the oldest row waits.").labels(collector)
        self._errors = counter("errors", "Collections that failed.").labels(collector)
        self._missed = counter("missed", "Collections left out because an earlier one took too long.").labels(collector)
        self._write_errors = counter("write_errors", "Writes to the database that failed.").labels(collector)
        self._dropped = counter("rows_dropped", "Rows that were given up.", "reason")
        self._rejected = counter("rows_rejected", "Rows that became dead letters.", "table")
        self._damaged = counter("spool_damaged", "Records of the spool that cannot be read.", "kind")
        for reason in REASONS:
            self._dropped.labels(collector, reason)
        for kind in ("torn", "corrupt"):
            self._damaged.labels(collector, kind)
        self._rows = counter("rows", "Rows written to the database.", "table")

    def succeeded(self, duration_s: float) -> None:
        self._last_success.set(time.time())
        self._duration.set(duration_s)

    def source_failed(self) -> None:
        self._errors.inc()

    def missed(self, count: int) -> None:
        self._missed.inc(count)

    def watch(self, waiting: Callable[[], Waiting]) -> None:
        self._buffered.set_function(lambda: waiting().rows)
        self._bytes.set_function(lambda: waiting().size)
        self._limit.set_function(lambda: waiting().limit)
        self._oldest.set_function(lambda: waiting().oldest_s)

    def wrote(self, table: str, rows: int) -> None:
        self._rows.labels(self.collector, table).inc(rows)

    def failed(self) -> None:
        self._write_errors.inc()

    def rejected(self, table: str, rows: int) -> None:
        self._rejected.labels(self.collector, table).inc(rows)

    def dropped(self, rows: int, reason: str) -> None:
        self._dropped.labels(self.collector, reason).inc(rows)

    def damaged(self, kind: str) -> None:
        self._damaged.labels(self.collector, kind).inc()


class Exposition:
    """Serves `registry` at `http://<metrics_address>:<metrics_port>/metrics` until closed.

    Args:
        settings: name the address and the port.
        registry: what is shown.
        more: what is shown after it, in parts, in the text format: for more series than a registry is fast enough for.
            Whoever asks for names of the registry (`?name[]=`) is spared it.

    Raises:
        SettingsError: the address does not exist here or the port is taken.
    """

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, *, more: Callable[[], Iterable[bytes]] | None = None
    ) -> None:
        address, port = settings.metrics_address, settings.metrics_port
        try:
            self._server, self._thread = start_http_server(port, address, registry)
        except OSError as error:
            reason = f"cannot serve /metrics on {address}:{port}: {error.strerror or error}; 0 takes any free port"
            raise SettingsError("metrics_port", "GAUGEBOOK_METRICS_PORT", reason) from error
        if more is not None:
            self._server.set_app(_page(registry, more))
        self.port = int(self._server.server_port)
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self.port}/metrics"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _page(registry: CollectorRegistry, more: Callable[[], Iterable[bytes]]) -> WSGIApplication:
    def page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)]
        names = parse_qs(environ.get("QUERY_STRING", "")).get("name[]")  # as the library's own server has it
        if names:
            whole: Iterable[bytes] = [generate_latest(registry.restricted_registry(names))]
        else:
            whole = chain([generate_latest(registry)], more())
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            headers.append(("Content-Encoding", "gzip"))
            squeeze = zlib.compressobj(FAST, wbits=GZIP)
            parts = [*map(squeeze.compress, whole), squeeze.flush()]  # never the whole of it in memory
        else:
            parts = list(whole)
        headers.append(("Content-Length", str(sum(map(len, parts)))))
        start_response("200 OK", headers)
        return parts

    return page
