"""Puts the tap under the transports of httpx2 and httpx."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from collectors.llm.attribution import HEADER
from collectors.llm.patches import Patch, put
from collectors.llm.relay import AsyncRelay, Relay, Replay
from collectors.llm.sending import HEARD, HEARD_OF_AWS, REFUSALS, TOLD, Denied, Sender, Sending
from collectors.llm.target import target

MODULES = ("httpx2", "httpx")  # openai 3 and anthropic 2 use the first, what came before them the second
Current = Callable[[], Sender | None]

_OURS = HEADER.encode()
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"accept-encoding"})


def patch(module: Any, current: Current, there: Sequence[Patch] = ()) -> list[Patch]:
    """Replace the two methods of `module` (httpx2 or httpx) that every request goes through, but for those in `there`.

    `current` says which tap is in, at the time of each request.
    """
    body = type("MeteredStream", (Relay, module.SyncByteStream), {})
    async_body = type("AsyncMeteredStream", (AsyncRelay, module.AsyncByteStream), {})
    response = module.Response

    def sync(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return _sync(original, body, response, current)

    def asynchronous(original: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        return _async(original, async_body, response, current)

    return put(
        [
            Patch.of(module.HTTPTransport, "handle_request", sync),
            Patch.of(module.AsyncHTTPTransport, "handle_async_request", asynchronous),
        ],
        there,
    )


def _sync(
    original: Callable[[Any, Any], Any], body: type, response_class: type, current: Current
) -> Callable[[Any, Any], Any]:
    def handle_request(self: Any, request: Any) -> Any:
        sender = current()
        if sender is None:
            return original(self, request)
        sending = _begin(sender, request)
        if sending is None:
            return original(self, _without_ours(sender, request))
        if sender.gate is not None:
            denied = sender.admit(sending)
            if denied is not None:
                return _answer(response_class, denied)
            sending.call.restart()
        try:
            response = original(self, _changed(sender, request, sending) if sending.changed else request)
            if sending.asking is not None and response.status_code in REFUSALS:
                stream = response.stream
                pieces = list(stream)
                stream.close()
                response.stream = Replay(pieces)
                if sender.refused(sending, b"".join(pieces)):
                    response = original(self, _changed(sender, request, sending) if sending.changed else request)
        except BaseException as error:
            sending.failed(error)
            raise
        return _relayed(response, sending, body)

    return handle_request


def _async(
    original: Callable[[Any, Any], Awaitable[Any]], body: type, response_class: type, current: Current
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle_async_request(self: Any, request: Any) -> Any:
        sender = current()
        if sender is None:
            return await original(self, request)
        sending = _begin(sender, request)
        if sending is None:
            return await original(self, _without_ours(sender, request))
        try:
            if sender.gate is not None:
                denied = await _in_a_thread(sender.admit, sending)
                if denied is not None:
                    return _answer(response_class, denied)
                sending.call.restart()
            response = await original(self, _changed(sender, request, sending) if sending.changed else request)
            if sending.asking is not None and response.status_code in REFUSALS:
                stream = response.stream
                pieces = [piece async for piece in stream]
                await stream.aclose()
                response.stream = Replay(pieces)
                if sender.refused(sending, b"".join(pieces)):
                    response = await original(self, _changed(sender, request, sending) if sending.changed else request)
        except BaseException as error:
            sending.failed(error)
            raise
        return _relayed(response, sending, body)

    return handle_async_request


async def _in_a_thread(admit: Callable[[Sending], Denied | None], sending: Sending) -> Denied | None:
    from anyio import to_thread  # httpx has it, under asyncio and trio

    return await to_thread.run_sync(admit, sending)


def _begin(sender: Sender, request: Any) -> Sending | None:
    if request.method != "POST":
        return None
    try:
        url = request.url
        path, _, _ = url.raw_path.partition(b"?")
        there = target(url.scheme, url.netloc.decode("ascii", "replace"), path.decode("ascii", "replace"))
        if there is None:
            return None
        headers = {told: value.decode("latin-1") for key, value in request.headers.raw if (told := _told(key))}
        body = getattr(request, "_content", b"")  # not there where the body is itself a stream
    except Exception as error:  # noqa: BLE001 - a call is never broken by its measurement
        sender.meter.stumbled(error)
        return None
    return sender.begin(there, headers, body)


@lru_cache(maxsize=1024)
def _told(header: bytes) -> str:
    """The name of a request's header that we read, in lower case; empty for all others."""
    lower = header.lower().decode("latin-1")
    return lower if lower in TOLD or lower.startswith(HEADER) else ""


@lru_cache(maxsize=1024)
def _heard(header: bytes) -> str:
    """The same for a response: what a `Call` and the formats ask for."""
    lower = header.lower().decode("latin-1")
    return lower if lower in HEARD or lower.startswith(HEARD_OF_AWS) else ""


def _relayed(response: Any, sending: Sending, body: type) -> Any:
    """The response, whose body passes by the call."""
    # A dictionary, for httpx goes through all its headers to find one.
    headers = {heard: value.decode("latin-1") for key, value in response.headers.raw if (heard := _heard(key))}
    sending.answered(response.status_code, headers)
    if sending.call.hides:
        response.headers.pop("content-length", None)
    response.stream = body(response.stream, sending.call)
    return response


def _answer(response_class: type, denied: Denied) -> Any:
    return response_class(denied.status, headers=denied.headers, content=denied.body)


def _changed(sender: Sender, request: Any, sending: Sending) -> Any:
    """The request as it is to go out. Where a stream was asked for its usage, it refuses compression: only a plain
    stream can lose its last event.
    """
    with sender.meter.guard:
        raw = request.headers.raw
        if sending.strips:
            raw = [(key, value) for key, value in raw if not key.lower().startswith(_OURS)]
        if sending.body is None:
            return _copy(request, raw)
        kept = _FRAMING if sending.asking is not None else _FRAMING - {b"accept-encoding"}
        raw = [(key, value) for key, value in raw if key.lower() not in kept]
        raw.append((b"Content-Length", str(len(sending.body)).encode()))
        if sending.asking is not None:
            raw.append((b"Accept-Encoding", b"identity"))
        return type(request)(
            request.method, request.url, headers=raw, content=sending.body, extensions=request.extensions
        )
    return request


def _without_ours(sender: Sender, request: Any) -> Any:
    """The request without the headers that are meant for us, whatever its path is."""
    with sender.meter.guard:
        raw = request.headers.raw
        if any(key[: len(_OURS)].lower() == _OURS for key, _ in raw):
            return _copy(request, [(key, value) for key, value in raw if not key.lower().startswith(_OURS)])
    return request


def _copy(request: Any, headers: list[tuple[bytes, bytes]]) -> Any:
    return type(request)(
        request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
    )
