"""The tap: sits under httpx2 and httpx and meters every LLM call of the process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition
from collectors.llm.attribution import Owner
from collectors.llm.clean import name
from collectors.llm.formats.base import Asked
from collectors.llm.formats.openai import ChatCompletions
from collectors.llm.meter import Call, Meter, Target
from collectors.llm.transports import Patch, patch
from collectors.llm.writer import Writer
from store.errors import SettingsError
from store.settings import Settings, load

MODULES = ("httpx2", "httpx")  # openai 3 and anthropic 2 use the first, what came before them the second
FORMATS = (ChatCompletions(),)
_MOST_REFUSING = 1_000


class Tap:
    """A tap that is installed: its counters and its writer. `install` makes it."""

    def __init__(
        self,
        settings: Settings,
        *,
        owner: Owner,
        providers: Mapping[str, str],
        ask_for_usage: bool,
        metrics_port: int | None,
    ) -> None:
        self._writer = Writer(settings)
        self._exposition: Exposition | None = None
        if metrics_port is not None:
            served = settings.model_copy(update={"metrics_port": metrics_port})
            try:
                self._exposition = Exposition(served, self._writer.metrics.registry)
            except SettingsError:
                self._writer.close()
                raise
        self.meter = Meter(self._writer, owner=owner, providers=providers)
        self._ask_for_usage = ask_for_usage
        self._refusing: set[str] = set()

    @property
    def registry(self) -> CollectorRegistry:
        """The Prometheus metrics of this process."""
        return self._writer.metrics.registry

    @property
    def port(self) -> int | None:
        """The port that /metrics is served on."""
        return None if self._exposition is None else self._exposition.port

    @property
    def written(self) -> int:
        """Rows written to the database by this process so far."""
        return self._writer.written

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until the rows of all calls that have ended are written; False when `timeout_s` passes first."""
        return self._writer.flush(timeout_s)

    def close(self) -> None:
        """Write what is left for a few seconds, then stop the writer and /metrics."""
        self._writer.close()
        if self._exposition is not None:
            self._exposition.close()

    def begin(self, request: Any) -> tuple[Call, Any] | None:
        """A call and the request to send for it; None for any other traffic."""
        with self.meter.guard:
            path = request.url.path
            form = next((form for form in FORMATS if form.matches(path)), None)
            if form is None or request.method != "POST":
                return None
            netloc = request.url.netloc.decode("ascii", "replace")
            body = getattr(request, "_content", b"")  # not there where the body is itself a stream
            if "content-encoding" in request.headers:
                body = b""
            asked = form.asked(body) if body else Asked()
            call = self.meter.begin(form, Target(f"{request.url.scheme}://{netloc}{path}", netloc), asked)
            if self._ask_for_usage and asked.streamed and not asked.wants_usage and self._may_change(request, netloc):
                changed = form.ask_for_usage(body)
                if changed is not None:
                    call.hides = True
                    return call, _with_body(request, changed)
            return call, request
        return None

    def refused(self, call: Call, refusal: bytes) -> bool:
        """Whether this answer refuses our question for usage; then that server is not asked again."""
        if b"stream_options" not in refusal and b"include_usage" not in refusal:
            return False
        if len(self._refusing) < _MOST_REFUSING:
            self._refusing.add(call.target.netloc)
        return True

    def _may_change(self, request: Any, netloc: str) -> bool:
        signed = request.headers.get("authorization", "").startswith("AWS4-") or "content-digest" in request.headers
        return not signed and netloc not in self._refusing


class _Installed:
    """What `install` has done to this process."""

    lock = threading.RLock()
    tap: Tap | None = None
    patches: tuple[Patch, ...] = ()  # ours that are in place, with or without a tap


def install(
    settings: Settings | None = None,
    *,
    team: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    providers: Mapping[str, str] | None = None,
    ask_for_usage: bool = True,
    metrics_port: int | None = None,
) -> Tap:
    """Meter every OpenAI chat completion of this process from now on. Where there is a tap already, it stays as it is.

    Args:
        settings: names the database; by default what `store.settings.load` finds.
        team: who calls are booked to where `attribute` does not say; by default the settings' team.
        project: as `team`.
        environment: as `team`.
        providers: provider by `host:port` or `host`, for addresses that are not well known.
        ask_for_usage: ask for the usage of streams that do not, and keep the additional event from the application.
        metrics_port: serve /metrics on this port of the settings' `metrics_address`; 0: any free one; None: nowhere.

    Raises:
        SettingsError: a setting is wrong, or the port is taken.
    """
    with _Installed.lock:
        if _Installed.tap is not None:
            return _Installed.tap
        settings = settings or load()
        _Installed.tap = Tap(
            settings,
            owner=Owner(name(team), name(project), name(environment)).over(
                Owner(settings.team, settings.project, settings.environment)
            ),
            providers=providers or {},
            ask_for_usage=ask_for_usage,
            metrics_port=metrics_port,
        )
        for module in MODULES:
            if find_spec(module) is not None:
                _Installed.patches += tuple(patch(import_module(module), _current, _Installed.patches))
        return _Installed.tap


def uninstall() -> None:
    """Take the tap out, and write what it has seen; harmless where there is none."""
    with _Installed.lock:
        tap, _Installed.tap = _Installed.tap, None
        _Installed.patches = tuple(done for done in _Installed.patches if not done.undo())
    if tap is not None:
        tap.close()


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until the rows of all calls that have ended are written; False when `timeout_s` passes first."""
    tap = _Installed.tap
    return True if tap is None else tap.flush(timeout_s)


def _current() -> Tap | None:
    return _Installed.tap


def _with_body(request: Any, body: bytes) -> Any:
    """The same request with another body. It refuses compression: only a plain stream can lose its last event."""
    replaced = {b"content-length", b"transfer-encoding", b"accept-encoding"}
    headers = [(key, value) for key, value in request.headers.raw if key.lower() not in replaced]
    headers += [(b"Content-Length", str(len(body)).encode()), (b"Accept-Encoding", b"identity")]
    return type(request)(request.method, request.url, headers=headers, content=body, extensions=request.extensions)
