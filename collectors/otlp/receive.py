"""The receiver's HTTP: POST /v1/traces, /v1/metrics and /v1/logs, and GET /healthz."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from collectors.otlp import answers
from collectors.otlp.admission import Admission
from collectors.otlp.answers import Answer
from collectors.otlp.intake import CONTENT_TYPES, Export, Intake
from collectors.otlp.metrics import SIGNALS, Metrics
from collectors.otlp.refusal import Refusal, malformed

log = logging.getLogger(__name__)

BODY_S = 30.0  # that a sender may take for its body


class Receiver:
    """Receives requests in the event loop and hands each to `worker`, which takes them one by one.

    Args:
        intake: what happens to a request.
        admission: bounds what is in memory.
        metrics: counts.
        worker: one thread.
        limit: bytes of a body.
    """

    def __init__(self, intake: Intake, admission: Admission, metrics: Metrics, worker: Executor, *, limit: int) -> None:
        self._intake, self._admission, self._metrics, self._worker = intake, admission, metrics, worker
        self._limit = limit

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [Route(f"/v1/{signal}", self._export, methods=["POST"], name=signal) for signal in SIGNALS]
        return Starlette(routes=[*routes, Route("/healthz", _healthy)])

    async def _export(self, request: Request) -> Response:
        signal = request.url.path.rpartition("/")[2]
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            answer = await self._taken(signal, content_type, request)
        except Refusal as refusal:
            self._metrics.refused.labels(refusal.reason).inc()
            answer = answers.refused(refusal, content_type)
        except ClientDisconnect:
            self._metrics.refused.labels("disconnected").inc()
            answer = Answer(400, b"", content_type)  # nobody reads it
        except Exception:  # whatever it is, the next request must be answered
            log.exception("a request could not be taken")
            self._metrics.failures.inc()
            failed = Refusal(503, "failed", "the receiver stumbled over this request", retry_after_s=60)
            self._metrics.refused.labels(failed.reason).inc()
            answer = answers.refused(failed, content_type)
        self._metrics.requests.labels(signal, str(answer.status)).inc()
        return Response(answer.body, answer.status, answer.headers, answer.content_type)

    async def _taken(self, signal: str, content_type: str, request: Request) -> Answer:
        if content_type not in CONTENT_TYPES:
            await _drain(request, self._limit)
            raise Refusal(415, "content_type", f"Content-Type must be one of: {', '.join(CONTENT_TYPES)}")
        size = _declared(request)
        if size is not None and size > self._limit:
            raise self._too_large()
        try:
            # A body of unknown length is taken for as large as it may be.
            with self._admission.admitted(self._limit if size is None else size):
                body = await self._body(request)
                self._metrics.received.labels(signal).inc(len(body))
                export = Export(signal, content_type, request.headers.get("content-encoding", ""), body)
                return await asyncio.get_running_loop().run_in_executor(self._worker, self._intake.take, export)
        except Refusal as refusal:
            if refusal.reason in ("overload", "stopping"):
                await _drain(request, self._limit)
            raise

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limit:
                        raise self._too_large()
        except TimeoutError:
            raise Refusal(408, "slow", f"the body did not arrive within {BODY_S:g} s") from None
        return bytes(body)

    def _too_large(self) -> Refusal:
        return Refusal(413, "too_large", f"a body may have {self._limit:,} bytes; send smaller batches")


def _declared(request: Request) -> int | None:
    told = request.headers.get("content-length")
    if told is None:
        return None
    if not (told.isascii() and told.isdecimal() and len(told) < 20):
        raise malformed("Content-Length is no number")
    return int(told)


async def _drain(request: Request, most: int) -> None:
    """Pass over a body that is refused: a sender may not read the answer before it has written everything."""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                most -= len(chunk)
                if most < 0:
                    return
    except TimeoutError:
        return


async def _healthy(request: Request) -> Response:
    del request
    return PlainTextResponse("ok\n")
