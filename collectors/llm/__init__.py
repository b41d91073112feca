"""Meters the LLM calls of this process: `install()` once, and each call becomes a row of `metrics.llm_requests`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collectors.llm.attribution import attribute
    from collectors.llm.tap import Tap, flush, install, uninstall

__all__ = ["Tap", "attribute", "flush", "install", "uninstall"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("collectors.llm.attribution" if name == "attribute" else "collectors.llm.tap"), name)
