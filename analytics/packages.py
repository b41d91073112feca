"""Packages that only some users want: loaded when they are named, and asked for in one line where they are missing."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from store.errors import PackageMissing


def optional(module: str, what: str, extra: str) -> Any:
    """The module, for `what` was asked for; `extra` of ours installs it.

    Raises:
        PackageMissing: it is not installed, nor what it needs.

    >>> optional("nixes.sub", "engine 'x'", "x")
    Traceback (most recent call last):
    store.errors.PackageMissing: engine 'x' needs the package nixes, which is missing: pip install 'gaugebook[x]'
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a package warns of while it loads is its makers' business
            return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise PackageMissing(what, package, extra) from error
