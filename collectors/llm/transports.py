"""Puts the tap under the transports of httpx2 and httpx."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from collectors.llm.meter import Call
from collectors.llm.relay import AsyncRelay, Relay, Replay

_REFUSALS = (400, 422)  # bad request, unprocessable


class Tapping(Protocol):
    """What a transport asks of the tap."""

    def begin(self, request: Any) -> tuple[Call, Any] | None:
        """A call and the request to send for it; None for traffic that is none of ours."""
        ...

    def refused(self, call: Call, refusal: bytes) -> bool:
        """Whether a server refused the request only for what we changed in it."""
        ...


Current = Callable[[], Tapping | None]


@dataclass(frozen=True, slots=True)
class Patch:
    """A method that was replaced."""

    transport: type
    method: str
    original: Callable[..., Any]
    ours: Callable[..., Any]

    def undo(self) -> bool:
        """Put the original back; False where somebody has wrapped ours, which stays and passes everything on."""
        if getattr(self.transport, self.method) is not self.ours:
            return False
        setattr(self.transport, self.method, self.original)
        return True


def patch(module: Any, current: Current, there: Sequence[Patch] = ()) -> list[Patch]:
    """Replace the two methods of `module` (httpx2 or httpx) that every request goes through, but for those in `there`.

    `current` says which tap is in, at the time of each request.
    """
    body = type("MeteredStream", (Relay, module.SyncByteStream), {})
    async_body = type("AsyncMeteredStream", (AsyncRelay, module.AsyncByteStream), {})
    sync, asynchronous = module.HTTPTransport, module.AsyncHTTPTransport
    patches = [
        Patch(sync, "handle_request", sync.handle_request, _sync(sync.handle_request, body, current)),
        Patch(
            asynchronous,
            "handle_async_request",
            asynchronous.handle_async_request,
            _async(asynchronous.handle_async_request, async_body, current),
        ),
    ]
    patched = {done.transport for done in there}  # httpx can be an alias of httpx2
    patches = [new for new in patches if new.transport not in patched]
    for new in patches:
        setattr(new.transport, new.method, new.ours)
    return patches


def _sync(original: Callable[[Any, Any], Any], body: type, current: Current) -> Callable[[Any, Any], Any]:
    def handle_request(self: Any, request: Any) -> Any:
        tap = current()
        begun = None if tap is None else tap.begin(request)
        if tap is None or begun is None:
            return original(self, request)
        call, sent = begun
        try:
            response = original(self, sent)
            if sent is not request and response.status_code in _REFUSALS:
                stream = response.stream
                pieces = list(stream)
                stream.close()
                response.stream = Replay(pieces)
                if tap.refused(call, b"".join(pieces)):
                    call = call.again()
                    response = original(self, request)
        except BaseException as error:
            call.finish(error)
            raise
        call.answered(response.status_code, response.headers)
        if call.hides:
            response.headers.pop("content-length", None)
        response.stream = body(response.stream, call)
        return response

    return handle_request


def _async(
    original: Callable[[Any, Any], Awaitable[Any]], body: type, current: Current
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle_async_request(self: Any, request: Any) -> Any:
        tap = current()
        begun = None if tap is None else tap.begin(request)
        if tap is None or begun is None:
            return await original(self, request)
        call, sent = begun
        try:
            response = await original(self, sent)
            if sent is not request and response.status_code in _REFUSALS:
                stream = response.stream
                pieces = [piece async for piece in stream]
                await stream.aclose()
                response.stream = Replay(pieces)
                if tap.refused(call, b"".join(pieces)):
                    call = call.again()
                    response = await original(self, request)
        except BaseException as error:
            call.finish(error)
            raise
        call.answered(response.status_code, response.headers)
        if call.hides:
            response.headers.pop("content-length", None)
        response.stream = body(response.stream, call)
        return response

    return handle_async_request
