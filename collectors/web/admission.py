"""How much may be in memory at once: beyond it senders are told to come back, which they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from collectors.web.refusal import Refusal

RETRY_S = 1
LEAST_BYTES = 4_096  # what a request takes however small its body is


class Admission:
    """Counts the bytes of the requests that are not answered yet. Used by the thread of the server alone.

    Args:
        limit: bytes that may be in memory at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0
        self.open = True

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Let a request of `size` bytes in while the block lasts.

        Raises:
            Refusal: there is no room for it, or the receiver is about to end.
        """
        size = max(size, LEAST_BYTES)
        if not self.open:
            raise Refusal(503, "stopping", "the receiver is stopping; try again later", retry_after_s=RETRY_S)
        if self.in_flight + size > self._limit:
            raise Refusal(503, "overload", "too much is in flight; try again later", retry_after_s=RETRY_S)
        self.in_flight += size
        try:
            yield
        finally:
            self.in_flight -= size
