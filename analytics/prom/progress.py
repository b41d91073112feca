"""A line on stderr that tells how far a long read is."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

AFTER_S = 2.0
EVERY_S = 0.2
WIDTH = 24


class Progress:
    """Shows itself where it takes more than two seconds, and wipes itself away in the end.

    Args:
        shown: None: on a terminal or in a notebook.
        to: where to.
    """

    def __init__(self, *, shown: bool | None = None, to: TextIO | None = None) -> None:
        self._to = to or sys.stderr
        self._shown = (self._to.isatty() or "ipykernel" in sys.modules) if shown is None else shown
        self._begun = self._last = time.monotonic()
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._written:
            self._write("")

    def show(self, what: str, done: float | None = None) -> None:
        """`what` has come so far; `done` is the share of all there is, where it is known."""
        now = time.monotonic()
        if not self._shown or now - self._begun < AFTER_S or now - self._last < EVERY_S:
            return
        self._last = now
        bar = ""
        if done is not None:
            filled = round(WIDTH * min(1.0, done))
            bar = f" [{'=' * filled}{' ' * (WIDTH - filled)}] {100 * min(1.0, done):.0f} %"
        self._write(f"Prometheus{bar} {what}, {now - self._begun:.0f} s")

    def _write(self, line: str) -> None:
        self._to.write(f"\r{line.ljust(self._written)}{'' if line else chr(13)}")
        self._to.flush()
        self._written = len(line)
