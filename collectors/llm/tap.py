"""The tap: sits under httpx2, httpx and urllib3 (requests, botocore) and meters every LLM call of the process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition
from collectors.llm import httpx_transport, prices, urllib3_transport
from collectors.llm.attribution import Owner, owner
from collectors.llm.meter import Meter
from collectors.llm.metrics import BudgetLeft
from collectors.llm.patches import Patch
from collectors.llm.record import Request
from collectors.llm.sending import Sender
from collectors.llm.writer import Writer
from store.errors import SettingsError
from store.settings import Settings, load

if TYPE_CHECKING:
    from collectors.llm.budget import Budgets
    from collectors.llm.gate import Gate

log = logging.getLogger(__name__)

TRANSPORTS = (httpx_transport, urllib3_transport)


class Tap:
    """A tap that is installed: its counters and its writer. `install` makes it."""

    def __init__(
        self,
        settings: Settings,
        *,
        owner: Owner,
        providers: Mapping[str, str],
        ask_for_usage: bool,
        estimate_usage: bool,
        metrics_port: int | None,
    ) -> None:
        prices.use(settings.llm_prices)
        self.settings = settings
        self._budgets = _budgets(settings)  # before the writer, which is to end first: its last rows settle calls
        self._writer = Writer(settings, standing=None if self._budgets is None else self._standing)
        self._exposition: Exposition | None = None
        if metrics_port is not None:
            served = settings.model_copy(update={"metrics_port": metrics_port})
            try:
                self._exposition = Exposition(served, self._writer.metrics.registry)
            except SettingsError:
                self.close()
                raise
        meter = Meter(self._writer, owner=owner, providers=providers, estimate_usage=estimate_usage)
        self.sender = Sender(meter, ask_for_usage=ask_for_usage, gate=_gate(self._budgets))

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

    def watch(self, observe: Callable[[Request], None]) -> None:
        """Call `observe` with each finished row, in the writer's thread."""
        self._writer.observers.append(observe)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until the rows of all calls that have ended are written; False when `timeout_s` passes first."""
        end = monotonic() + timeout_s
        done = self._writer.flush(timeout_s)
        return done if self._budgets is None else done and self._budgets.flush(max(0.0, end - monotonic()))

    def close(self) -> None:
        """Write what is left for a few seconds, then stop the writer and /metrics."""
        self._writer.close()
        if self._budgets is not None:
            self._budgets.close()
        if self._exposition is not None:
            self._exposition.close()

    def _standing(self) -> Iterable[BudgetLeft]:
        left = {} if self._budgets is None else self._budgets.left()
        return (BudgetLeft(name, limit, rest) for name, (rest, limit) in left.items())


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
    tags: Mapping[str, str] | None = None,
    providers: Mapping[str, str] | None = None,
    ask_for_usage: bool = True,
    estimate_usage: bool | None = None,
    metrics_port: int | None = None,
) -> Tap:
    """Meter every LLM call of this process from now on. Where there is a tap already, it stays as it is.

    Args:
        settings: names the database; by default what `store.settings.load` finds.
        team: who calls are booked to where `attribute` does not say; by default the settings' team.
        project: as `team`.
        environment: as `team`.
        tags: more about every call, kept in the row's `attrs`.
        providers: provider by `host:port` or `host`, for addresses that are not well known.
        ask_for_usage: ask for the usage of streams that do not, and keep the additional event from the application.
        estimate_usage: guess the tokens that a provider does not report, from lengths, and say so in `usage_source`; by
            default as the settings say (`llm_estimate_usage`), which is not to.
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
            owner=owner(team, project, environment, tags).over(
                Owner(settings.team, settings.project, settings.environment)
            ),
            providers=providers or {},
            ask_for_usage=ask_for_usage,
            estimate_usage=settings.llm_estimate_usage if estimate_usage is None else estimate_usage,
            metrics_port=metrics_port,
        )
        for transport in TRANSPORTS:
            for module in transport.MODULES:
                if find_spec(module) is not None:
                    _put(transport.patch, module)
        return _Installed.tap


def uninstall() -> None:
    """Take the tap out, and write what it has seen; harmless where there is none."""
    with _Installed.lock:
        tap, _Installed.tap = _Installed.tap, None
        _Installed.patches = tuple(done for done in _Installed.patches if not done.undo())
    if tap is not None:
        tap.close()


def installed() -> Tap | None:
    """The tap of this process; None where there is none."""
    return _Installed.tap


def flush(timeout_s: float = 10.0) -> bool:
    """Wait until the rows of all calls that have ended are written; False when `timeout_s` passes first."""
    tap = _Installed.tap
    return True if tap is None else tap.flush(timeout_s)


def _current() -> Sender | None:
    tap = _Installed.tap
    return None if tap is None else tap.sender


def _budgets(settings: Settings) -> Budgets | None:
    if settings.llm_budgets == "off":
        return None
    from collectors.llm.budget import Budgets

    return Budgets(settings)


def _gate(budgets: Budgets | None) -> Gate | None:
    if budgets is None:
        return None
    from collectors.llm.gate import Gate

    return Gate(budgets)


def _put(patch: Callable[..., list[Patch]], module: str) -> None:
    try:
        _Installed.patches += tuple(patch(import_module(module), _current, _Installed.patches))
    except Exception:  # a library that is broken, or not as we know it: its calls are not metered, and go on
        log.warning("calls over %s are not metered", module, exc_info=True)
