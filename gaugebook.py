"""Gaugebook in a notebook: `%load_ext gaugebook` meters the LLM calls of the kernel, `%gaugebook` shows them."""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext gaugebook` does."""
    from collectors.llm import jupyter

    jupyter.load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext gaugebook` does."""
    from collectors.llm import jupyter

    jupyter.unload_ipython_extension(shell)
