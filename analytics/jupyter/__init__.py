"""Magics for the hurried, of `%load_ext gaugebook`: SQL, PromQL, forecasts and anomalies in a line, and completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion in a shell; again, it does no harm."""
    from analytics.jupyter import completion, magics

    unload(shell)
    magics.register(shell)
    completion.register(shell)


def unload(shell: InteractiveShell) -> None:
    """Take them out again."""
    from analytics.jupyter import completion, magics

    magics.unregister(shell)
    completion.unregister(shell)
