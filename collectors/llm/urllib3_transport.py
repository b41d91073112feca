"""Puts the tap under urllib3, and so under requests and botocore.

`HTTPConnectionPool._make_request` is the one method that every attempt of every client goes through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from collectors.llm.attribution import HEADER
from collectors.llm.patches import Patch, put
from collectors.llm.sending import REFUSALS, TOLD, Sender, Sending
from collectors.llm.target import target
from collectors.llm.urllib3_relay import USED, Bodies

MODULES = ("urllib3",)
Current = Callable[[], Sender | None]

_PORTS = {"http": 80, "https": 443}


def patch(module: Any, current: Current, there: Sequence[Patch] = ()) -> list[Patch]:
    """Replace the method of `module` (urllib3) that every attempt goes through, but for those in `there`.

    `current` says which tap is in, at the time of each request.

    Raises:
        RuntimeError: it reads its bodies in another way than urllib3 2.
    """
    missing = [name for name in USED if not hasattr(module.response.HTTPResponse, name)]
    if missing:
        raise RuntimeError(f"urllib3 {module.__version__} has no {', '.join(missing)}; 2.0 and later have")
    bodies = Bodies(module.response.HTTPResponse)

    def attempt(original: Callable[..., Any]) -> Callable[..., Any]:
        return _attempt(original, bodies, current)

    return put([Patch.of(module.connectionpool.HTTPConnectionPool, "_make_request", attempt)], there)


def _attempt(original: Callable[..., Any], bodies: Bodies, current: Current) -> Callable[..., Any]:
    def _make_request(self: Any, conn: Any, method: str, url: str, *more: Any, **options: Any) -> Any:
        sender = current()
        if sender is None or more:  # urllib3 itself names all options
            return original(self, conn, method, url, *more, **options)
        sending = _begin(sender, self, method, url, options)
        if sending is None:
            return original(self, conn, method, url, **_without_ours(sender, options))
        if sender.gate is not None:
            denied = sender.admit(sending)
            if denied is not None:
                return bodies.answer(self, denied, url, options)
            sending.call.restart()
        sent = {**options, "preload_content": False}
        try:
            response = original(self, conn, method, url, **_changed(sender, sent, sending))
            if sending.asking is not None and response.status in REFUSALS:
                refusal = response.read(decode_content=False)
                if sender.refused(sending, refusal):
                    response = original(self, conn, method, url, **_changed(sender, sent, sending))
                else:
                    response = bodies.replay(response, refusal, url)
        except BaseException as error:
            sending.failed(error)
            raise
        bodies.meter(response, sending, preload=options.get("preload_content", True))
        return response

    return _make_request


def _begin(sender: Sender, pool: Any, method: str, url: str, options: Mapping[str, Any]) -> Sending | None:
    with sender.meter.guard:
        if method != "POST":
            return None
        scheme, host, port, path = pool.scheme, pool.host, pool.port, url
        if not url.startswith("/"):  # by way of a proxy
            parts = urlsplit(url)
            scheme, host, port, path = parts.scheme, parts.hostname or "", parts.port, parts.path
        netloc = f"[{host}]" if ":" in host else host
        if port is not None and port != _PORTS.get(scheme):
            netloc = f"{netloc}:{port}"
        there = target(scheme, netloc, path.partition("?")[0])
        if there is None:
            return None
        headers = {
            name: _text(value)
            for key, value in (options.get("headers") or {}).items()
            if (name := _text(key).lower()) in TOLD or name.startswith(HEADER)
        }
        return sender.begin(there, headers, _bytes(options.get("body")))
    return None


def _changed(sender: Sender, options: dict[str, Any], sending: Sending) -> dict[str, Any]:
    """What goes out. Where a stream was asked for its usage, it refuses compression: only a plain stream can lose its
    last event.
    """
    if not sending.changed:
        return options
    with sender.meter.guard:
        replaced: set[str] = set()
        added = {}
        if sending.body is not None:
            replaced = {"content-length", "transfer-encoding"}
            added["Content-Length"] = str(len(sending.body))
            options = {**options, "body": sending.body, "chunked": False}
            if sending.asking is not None:
                replaced.add("accept-encoding")
                added["Accept-Encoding"] = "identity"
        return {**options, "headers": _headers(options["headers"], replaced, added, strips=sending.strips)}
    return options


def _without_ours(sender: Sender, options: dict[str, Any]) -> dict[str, Any]:
    """The options without the headers that are meant for us, whatever the path is; signed ones stay."""
    with sender.meter.guard:
        headers = options.get("headers")
        if headers and any(_text(key)[: len(HEADER)].lower() == HEADER for key in headers):
            signed = any(
                HEADER in _text(value) for key, value in headers.items() if _text(key).lower() == "authorization"
            )
            if not signed:
                return {**options, "headers": _headers(headers, set(), {}, strips=True)}
    return options


def _headers(headers: Any, without: set[str], added: Mapping[str, str], *, strips: bool) -> Any:
    """A copy of the headers, in their own kind of mapping."""
    copy = headers.copy()
    for key in list(headers):
        name = _text(key).lower()
        if name in without or (strips and name.startswith(HEADER)):
            del copy[key]
    copy.update(added)
    return copy


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray)) else b""
