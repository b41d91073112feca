"""The tap in a notebook: `%load_ext gaugebook` meters the calls of its kernel, `%gaugebook` shows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from collectors.llm.record import Request
from collectors.llm.tap import flush, install, uninstall

MAGIC = "gaugebook"
MOST_LINES = 200
_COLUMNS = ("provider", "model", "calls", "errors", "input tokens", "output tokens", "USD")
_NOTHING = "no LLM call has been metered in this kernel yet"
_FLUSH_S = 1.0


@dataclass(slots=True)
class _Line:
    """What has been metered of one model; `cost_usd` is of the `priced` calls."""

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    priced: int = 0


class Metered:
    """What has been metered in this process since it was made, as a small table for people.

    >>> Metered()
    no LLM call has been metered in this kernel yet
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], _Line] = {}
        self._lock = threading.Lock()

    def observe(self, request: Request) -> None:
        """Count one finished request."""
        key = (request.provider, request.model)
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                key = key if len(self._lines) < MOST_LINES else ("other", "other")
                line = self._lines.setdefault(key, _Line())
            line.calls += 1
            line.errors += request.status == "error"
            line.input_tokens += request.input_tokens or 0
            line.output_tokens += request.output_tokens or 0
            if request.cost_usd is not None:
                line.cost_usd += request.cost_usd
                line.priced += 1

    def __repr__(self) -> str:
        if not self._lines:
            return _NOTHING
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if index < 2 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        if not self._lines:
            return f"<p>{_NOTHING}</p>"
        head = "".join(f"<th>{escape(column)}</th>" for column in _COLUMNS)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        with self._lock:
            lines = sorted(self._lines.items(), key=lambda item: -item[1].calls)
        for (provider, model), line in lines:
            yield (
                provider,
                model,
                f"{line.calls:,}",
                f"{line.errors:,}",
                f"{line.input_tokens:,}",
                f"{line.output_tokens:,}",
                f"{line.cost_usd:,.6f}" if line.priced else "no price",
            )


def load_ipython_extension(shell: Any) -> None:
    """Install the tap in the kernel of `shell`, and the magic that shows what it has seen from now on."""
    metered = Metered()
    install().watch(metered.observe)

    def show(line: str = "") -> Metered:
        """The LLM calls of this kernel so far, by model."""
        del line
        flush(_FLUSH_S)
        return metered

    shell.register_magic_function(show, "line", MAGIC)


def unload_ipython_extension(shell: Any) -> None:
    """Take the tap out of the kernel, and the magic with it."""
    shell.magics_manager.magics["line"].pop(MAGIC, None)
    uninstall()
