"""The service's HTTP: rows are posted, its state can be asked for, and its OpenAPI document describes both."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect

from collectors.service.batch import JSON, LINES, MOST_ROWS, Answer
from collectors.service.door import Door, Post, content_type_of
from collectors.service.keys import ApiKey, Keys
from collectors.service.metrics import Metrics
from collectors.service.rows import KINDS, Kind
from collectors.web.incoming import Incoming
from collectors.web.refusal import Refusal, malformed

log = logging.getLogger(__name__)

KEY_CHARACTERS = 200  # of an Idempotency-Key
MOST_TOGETHER = 64  # batches that are forced to disk at once,
TOGETHER_BYTES = 1 << 20  # as long as they are small
PROBLEM = "application/problem+json"
IS_PROBLEM: dict[str, Any] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
NONE_TAKEN = "No row could be taken; or, as a problem, the Idempotency-Key came before with another body."
REFUSALS = {
    400: "The body is no JSON, or damaged.",
    401: "No key, or a wrong one.",
    403: "The key has another scope.",
    408: "The body came too slowly.",
    413: "The body is too large, or has too many rows.",
    415: "A Content-Type or Content-Encoding that is not read here.",
    503: "There is no room now; try again after `Retry-After` seconds.",
}


class Problem(BaseModel):
    """Why a request is refused as a whole, as RFC 9457 has it; nothing of it was kept."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Service:
    """Receives requests in the event loop; `worker`, one thread, keeps what they hold, and `gate` proves keys."""

    def __init__(
        self, keys: Keys, door: Door, incoming: Incoming, metrics: Metrics, worker: Executor, gate: Executor
    ) -> None:
        self._keys, self._door, self._incoming, self._metrics = keys, door, incoming, metrics
        self._worker, self._gate = worker, gate
        self._waiting: deque[tuple[Post, asyncio.Future[Answer]]] = deque()
        self._working: asyncio.Task[None] | None = None

    def app(self) -> FastAPI:
        """The ASGI application."""
        app = FastAPI(title="Gaugebook", version=version("gaugebook"), docs_url=None, redoc_url=None)
        for kind in KINDS:
            app.add_api_route(
                kind.path,
                self._route(kind),
                methods=["POST"],
                operation_id=f"send_{kind.model.__name__}",
                summary=f"Send up to {MOST_ROWS:,} rows: {kind.model.__doc__}",
                description=f"The key needs the scope `{kind.scope}`. With 200 what is accepted is on disk.",
                response_model=Answer,
                responses={
                    422: {"model": Answer, "description": NONE_TAKEN, "content": IS_PROBLEM},
                    **{status: {"description": text, "content": IS_PROBLEM} for status, text in REFUSALS.items()},
                },
                openapi_extra=_taken(kind),
            )
        app.add_api_route(
            "/healthz", _healthy, methods=["GET"], summary="Whether it runs.", response_class=PlainTextResponse
        )
        app.add_api_route(
            "/readyz", self._ready, methods=["GET"], summary="Whether it has room.", response_class=PlainTextResponse
        )
        app.openapi = lambda: _described(app)  # type: ignore[method-assign]
        return app

    def _route(self, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
        async def post(request: Request) -> Response:
            try:
                answer = await self._taken(kind, request)
                made: Response = JSONResponse(
                    answer.model_dump(exclude_none=True),
                    422 if answer.rejected and not (answer.accepted or answer.duplicate) else 200,
                )
            except Refusal as refusal:
                made = self._refused(refusal)
            except ClientDisconnect:
                self._metrics.refused.labels("disconnected").inc()
                made = Response(status_code=400)  # nobody reads it
            except Exception:  # whatever it is, the next request must be answered
                log.exception("a request could not be taken")
                made = self._refused(Refusal(503, "failed", "the service stumbled over this request", retry_after_s=60))
            self._metrics.requests.labels(kind.path, str(made.status_code)).inc()
            return made

        return post

    async def _taken(self, kind: Kind, request: Request) -> Answer:
        headers = request.headers
        key = await self._known(headers.get("authorization", ""), kind.scope)
        try:
            content_type = content_type_of(headers.get("content-type", ""))
            idempotency = headers.get("idempotency-key", "")
            if len(idempotency) > KEY_CHARACTERS:
                raise malformed(f"Idempotency-Key is longer than {KEY_CHARACTERS} characters")
        except Refusal:
            await self._incoming.drain(request)
            raise
        async with self._incoming.body(request) as body:
            encoding = headers.get("content-encoding", "")
            return await self._kept(Post(kind, key, content_type, encoding, idempotency, body))

    async def _known(self, authorization: str, scope: str) -> ApiKey:
        """The key in the header Authorization, which has to have `scope`.

        Raises:
            Refusal: there is none, it is wrong, or it may do something else.
        """
        word, _, token = authorization.strip().partition(" ")
        key = None
        if word.lower() == "bearer":
            token = token.strip()
            loop = asyncio.get_running_loop()
            key = self._keys.seen(token) or await loop.run_in_executor(self._gate, self._keys.of, token)
        if key is None:
            raise Refusal(401, "unauthorized", "send Authorization: Bearer with a key; `gaugebook key add` makes one")
        if scope not in key.scopes:
            raise Refusal(403, "forbidden", f"this key has not the scope {scope}")
        return key

    async def _kept(self, post: Post) -> Answer:
        """Hand `post` to the worker, with all that came while it was busy: they share a way to the disk."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((post, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            together = [self._waiting.popleft()]
            size = len(together[0][0].body)
            while self._waiting and len(together) < MOST_TOGETHER and size < TOGETHER_BYTES:
                together.append(self._waiting.popleft())
                size += len(together[-1][0].body)
            posts = [post for post, _ in together]
            try:
                outcomes = await asyncio.get_running_loop().run_in_executor(self._worker, self._door.take, posts)
            except Exception as error:  # noqa: BLE001 - none of them may wait for ever
                for _, answer in together:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), outcome in zip(together, outcomes, strict=True):
                if answer.done():  # nobody waits for it any more
                    continue
                if isinstance(outcome, Refusal):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)

    def _refused(self, refusal: Refusal) -> Response:
        self._metrics.refused.labels(refusal.reason).inc()
        problem = Problem(title=refusal.reason, status=refusal.status, detail=refusal.text)
        headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
        if refusal.retry_after_s is not None:
            headers["retry-after"] = str(refusal.retry_after_s)
        if refusal.accept_encoding is not None:
            headers["accept-encoding"] = refusal.accept_encoding
        return JSONResponse(problem.model_dump(), refusal.status, headers, media_type=PROBLEM)

    async def _ready(self) -> PlainTextResponse:
        if self._door.open:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("rows wait for the database and their disk space is used up\n", 503)


async def _healthy() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _taken(kind: Kind) -> dict[str, Any]:
    """What a route takes, which is read by hand, row by row."""
    row = {"$ref": f"#/components/schemas/{kind.model.__name__}"}
    rows = {"type": "array", "items": row, "maxItems": MOST_ROWS}
    header = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Sent again with the same body, the answer is the same.",
        "schema": {"type": "string", "maxLength": KEY_CHARACTERS},
    }
    content = {JSON: {"schema": {"anyOf": [rows, row]}}, LINES: {"schema": {"type": "string"}}}
    return {
        "parameters": [header],
        "requestBody": {"required": True, "content": content},
        "security": [{"key": []}],
    }


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the models of the rows and how to show a key."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        described: list[type[BaseModel]] = [Problem, *(kind.model for kind in KINDS)]
        _, models = models_json_schema(
            [(model, "validation") for model in described], ref_template="#/components/schemas/{model}"
        )
        made["components"]["schemas"].update(models["$defs"])
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return app.openapi_schema or made
