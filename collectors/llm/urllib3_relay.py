"""Response bodies of urllib3 on their way to the application: every byte passes, and the call sees it first.

A response keeps its class, as a subclass that lets the call see the bytes as they come off the wire: whatever method
they are read by, and whether or not they are decoded on the way.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from collectors.llm.sending import Denied, Sending

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse as _Response

    from collectors.llm.call import Call
else:
    _Response = object

USED = ("_raw_read", "_handle_chunk", "_update_chunk_length", "read_chunked", "isclosed")  # of urllib3's responses


class _Metered(_Response):
    """A response whose bytes the call sees first."""

    _gaugebook: Call
    _in_a_read: bool = False

    def _raw_read(self, amt: int | None = None, **more: Any) -> bytes:
        call = self._gaugebook
        try:
            data = super()._raw_read(amt, **more)
        except BaseException as error:
            call.finish(error)
            raise
        if data:
            call.feed(data)
        everything = amt is None and not more.get("read1")
        if everything or (not data and amt != 0) or self.isclosed():
            call.finish()
        return data

    def _handle_chunk(self, amt: int | None) -> bytes:
        chunk = super()._handle_chunk(amt)
        self._gaugebook.feed(chunk)
        return chunk

    def read_chunked(self, *args: Any, **options: Any) -> Generator[bytes, None, None]:
        try:
            yield from super().read_chunked(*args, **options)
        except BaseException as error:
            self._gaugebook.finish(error)
            raise
        self._gaugebook.finish()

    def _update_chunk_length(self) -> None:
        self._in_a_read = True  # it closes the response before it raises
        try:
            super()._update_chunk_length()
        finally:
            self._in_a_read = False

    def close(self) -> None:
        try:
            super().close()
        finally:
            if not self._in_a_read:
                self._gaugebook.abandon()


class _Hiding(_Metered):
    """A response that keeps back the event that was asked for by us; never encoded.

    `_left`: shown by the call, not yet read by the application; `_ended`: what is raised once it has been.
    """

    _left: bytearray
    _ended: Exception | None
    _over: bool

    def _raw_read(self, amt: int | None = None, **more: Any) -> bytes:
        call, left, read1 = self._gaugebook, self._left, more.get("read1", False)
        wanted = amt if amt is not None and not read1 else 1
        while not self._over and (len(left) < wanted or amt is None):
            try:
                data = super(_Metered, self)._raw_read(amt, **more)
            except BaseException as error:
                self._over = True
                left += call.finish(error)
                if not left or not isinstance(error, Exception):
                    raise
                self._ended = error
                break
            if data:
                left += call.feed(data)
            if not data or self.isclosed():
                self._over = True
                left += call.finish()
            elif read1 and left:
                break
        if not left and self._ended is not None:
            ended, self._ended = self._ended, None
            raise ended
        shown = bytes(left if amt is None else left[:amt])
        del left[: len(shown)]
        return shown

    def _handle_chunk(self, amt: int | None) -> bytes:
        return self._gaugebook.feed(super(_Metered, self)._handle_chunk(amt))

    def read_chunked(self, *args: Any, **options: Any) -> Generator[bytes, None, None]:
        amt = args[0] if args else options.get("amt")
        most = amt if amt and amt > 0 else None
        try:
            for piece in super(_Metered, self).read_chunked(*args, **options):
                yield from _cut(piece, most)
        except BaseException as error:
            left = self._gaugebook.finish(error)
            if isinstance(error, Exception):
                yield from _cut(left, most)
            raise
        yield from _cut(self._gaugebook.finish(), most)

    def stream(self, *args: Any, **options: Any) -> Generator[bytes, None, None]:
        yield from super().stream(*args, **options)
        while left := self._raw_read(args[0] if args else options.get("amt")):
            yield left


class Bodies:
    """The responses of one urllib3, in classes that are metered."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._classes: dict[tuple[type, type], type] = {}

    def meter(self, response: Any, sending: Sending, *, preload: bool) -> None:
        """Let the call see the body of `response`, and load it where the caller wants it whole."""
        call = sending.call
        sending.answered(response.status, response.headers)
        if not isinstance(response, self._response):  # somebody else's, whose body cannot be watched
            call.finish()
            return
        with call.meter.guard:
            if call.hides:
                response.headers.pop("content-length", None)
                response._left, response._ended, response._over = bytearray(), None, False
            response._gaugebook = call
            response.__class__ = self._class(type(response), _Hiding if call.hides else _Metered)
        if preload:
            connection, response._connection = response._connection, None  # it is not given back by this
            try:
                response._body = response.read(decode_content=response.decode_content)
            finally:
                response._connection = connection

    def _class(self, theirs: type, ours: type) -> type:
        found = self._classes.get((theirs, ours))
        if found is None:
            found = self._classes[theirs, ours] = type(
                theirs.__name__, (ours, theirs), {"__module__": theirs.__module__}
            )
        return found

    def replay(self, response: Any, body: bytes, url: str) -> Any:
        """The same response, whose body has been read already."""
        again = self._response(
            body=io.BytesIO(body),
            headers=response.headers,
            status=response.status,
            version=response.version,
            version_string=response.version_string,
            reason=response.reason,
            preload_content=False,
            decode_content=response.decode_content,
            retries=response.retries,
            request_method="POST",
            request_url=url,
        )
        again._connection, again._pool = response._connection, response._pool
        return again

    def answer(self, pool: Any, denied: Denied, url: str, options: Mapping[str, Any]) -> Any:
        """The answer to a request that is not sent."""
        if options.get("response_conn") is not None:
            pool._put_conn(options["response_conn"])
        return self._response(
            body=io.BytesIO(denied.body),
            headers=denied.headers,
            status=denied.status,
            version=11,
            version_string="HTTP/1.1",
            reason="Too Many Requests",
            preload_content=options.get("preload_content", True),
            decode_content=options.get("decode_content", True),
            retries=options.get("retries"),
            request_method="POST",
            request_url=url,
        )


def _cut(data: bytes, most: int | None) -> Iterator[bytes]:
    """Pieces of at most so many bytes, as who reads a stream has asked for."""
    if most is None or len(data) <= most:
        if data:
            yield data
        return
    for start in range(0, len(data), most):
        yield data[start : start + most]
