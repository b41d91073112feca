"""Starts the calls of a process, and keeps errors of our own away from the application."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType

from collectors.llm.attribution import NOBODY, Owner, current
from collectors.llm.call import Call
from collectors.llm.estimate import asked_tokens
from collectors.llm.providers import OTHER, provider
from collectors.llm.target import Target
from collectors.llm.writer import Writer

log = logging.getLogger(__name__)


class Meter:
    """Starts a `Call` for each request and sends its row to `writer`.

    `provider`: names who is called at a target, as a label.

    `owner`: of the calls that nobody else claims; `providers`: by `host:port` or `host`; `estimate_usage`: guess the
    tokens that a provider does not report.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        owner: Owner,
        providers: Mapping[str, str] | None = None,
        estimate_usage: bool = False,
    ) -> None:
        self.writer = writer
        self._providers = dict(providers or {})
        self.provider = lru_cache(maxsize=2048)(self._provider)
        self._owner = owner
        self._estimate_usage = estimate_usage
        self.guard = Guard(self)

    def begin(
        self,
        target: Target,
        body: bytes,
        named: Owner | None = None,
        attempt: int = 1,
    ) -> Call:
        """A call that is about to be sent. `named`: whose the request itself says it is; `body`: what it holds."""
        owner = current()
        if named is not None:
            owner = owner.over(named)
        call = Call(self, target, body, self._owner if owner is NOBODY else owner.over(self._owner), attempt)
        if self._estimate_usage:
            call.guess(asked_tokens(body))
        return call

    def _provider(self, target: Target) -> str:
        named = provider(target.url, target.netloc, self._providers)
        return target.form.provider if named == OTHER and target.form.provider else named

    def stumbled(self, error: Exception) -> None:
        """Count an error of our own, and go on."""
        log.debug("metering failed", exc_info=error)
        self.failed()

    def failed(self, count: int = 1) -> None:
        """Count errors of our own."""
        self.writer.metrics.failures.inc(count)


class Guard:
    """A block whose errors are counted and go no further: a call is never broken by its measurement."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self._meter.stumbled(error)
        return True
