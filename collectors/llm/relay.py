"""Response bodies on their way to the application: every byte passes, and the call sees it first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from collectors.llm.call import Call


class _Relay:
    """What the two directions share. `inner` is the transport's own stream."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner, self._call = inner, call

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be half gone
            if self._call.ended is None:
                self._call.abandon()


class Relay(_Relay):
    """A body that is read synchronously."""

    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        feed = call.feed
        try:
            for chunk in self._inner:
                if shown := feed(chunk):
                    yield shown
        except GeneratorExit:
            call.abandon()
            raise
        except BaseException as error:
            if (left := call.finish(error)) and isinstance(error, Exception):
                yield left
            raise
        if left := call.finish():
            yield left

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._call.abandon()


class AsyncRelay(_Relay):
    """A body that is read asynchronously. No generator: one left half read is closed late, by the event loop."""

    _pieces: Any = None
    _end: BaseException | None = None  # raised once the last bytes are out

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._end is None:
            try:
                if self._pieces is None:
                    self._pieces = aiter(self._inner)
                chunk = await anext(self._pieces)
            except BaseException as error:  # noqa: BLE001 - it is raised below
                shown = self._over(error, well=isinstance(error, StopAsyncIteration))
            else:
                shown = self._call.feed(chunk)
            if shown:
                return shown
        end, self._end = self._end, StopAsyncIteration()
        raise end

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._call.abandon()

    def _over(self, end: BaseException, *, well: bool) -> bytes:
        """The body is over; what the application has to get before `end` is raised."""
        self._end = end
        left = self._call.finish(None if well else end)
        return left if isinstance(end, Exception) else b""  # a cancellation must not wait for another read


class Replay:
    """A body that has been read already, in the pieces that it came in."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    def close(self) -> None:
        """There is nothing to close."""

    async def aclose(self) -> None:
        """There is nothing to close."""
