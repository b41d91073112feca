"""Gaugebook in a notebook: `%load_ext gaugebook` meters the LLM calls of the kernel and brings our magics."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext gaugebook` does: the tap, `%gaugebook`; with the extra `analytics` %gsql, %promql and more."""
    from collectors.llm import jupyter

    jupyter.load_ipython_extension(shell)
    if _analytics():
        from analytics import jupyter as hurried

        hurried.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext gaugebook` does."""
    from collectors.llm import jupyter

    jupyter.unload_ipython_extension(shell)
    if _analytics():
        from analytics import jupyter as hurried

        hurried.unload(shell)


def _analytics() -> bool:
    """Whether the packages of analyses are here; the host of a collector has not got them."""
    return find_spec("polars") is not None
