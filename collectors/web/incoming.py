"""The bodies of requests, read within bounds: of size, of time, and of what is in memory at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from collectors.web.admission import Admission
from collectors.web.refusal import Refusal, malformed

BODY_S = 30.0  # that a sender may take for its body


class Incoming:
    """Reads bodies in the event loop.

    Args:
        admission: bounds what is in memory.
        limit: bytes of a body.
    """

    def __init__(self, admission: Admission, limit: int) -> None:
        self._admission, self._limit = admission, limit

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of `request`, which counts as in memory while the block lasts.

        Raises:
            Refusal: it is too large, too slow, or there is no room for it.
            ClientDisconnect: the sender has gone.
        """
        size = _declared(request)
        if size is not None and size > self._limit:
            raise self._too_large()
        try:
            # A body of unknown length is taken for as large as it may be.
            with self._admission.admitted(self._limit if size is None else size):
                yield await self._read(request)
        except Refusal as refusal:
            if refusal.reason in ("overload", "stopping"):
                await self.drain(request)
            raise

    async def drain(self, request: Request) -> None:
        """Pass over a body that is refused: a sender may not read the answer before it has written everything."""
        most = self._limit
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    most -= len(chunk)
                    if most < 0:
                        return
        except TimeoutError:
            return

    async def _read(self, request: Request) -> bytes:
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
