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
from collectors.otlp.answers import Answer
from collectors.otlp.intake import CONTENT_TYPES, Export, Intake
from collectors.otlp.metrics import SIGNALS, Metrics
from collectors.web.incoming import Incoming
from collectors.web.refusal import Refusal

log = logging.getLogger(__name__)


class Receiver:
    """Receives requests in the event loop and hands each to `worker`, which takes them one by one.

    Args:
        intake: what happens to a request.
        incoming: reads the bodies.
        metrics: counts.
        worker: one thread.
    """

    def __init__(self, intake: Intake, incoming: Incoming, metrics: Metrics, worker: Executor) -> None:
        self._intake, self._incoming, self._metrics, self._worker = intake, incoming, metrics, worker

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
            await self._incoming.drain(request)
            raise Refusal(415, "content_type", f"Content-Type must be one of: {', '.join(CONTENT_TYPES)}")
        async with self._incoming.body(request) as body:
            self._metrics.received.labels(signal).inc(len(body))
            export = Export(signal, content_type, request.headers.get("content-encoding", ""), body)
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._intake.take, export)


async def _healthy(request: Request) -> Response:
    del request
    return PlainTextResponse("ok\n")
