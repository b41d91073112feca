"""Write-back jobs: what a schedule can have written into the store besides reports, one job a file.

A job is a function of what is asked and of its parameters, which its signature declares as a notebook's cell does. It
reads the store up to the slot that it stands for, so that a slot that was missed is made up for as it would have been,
and gives the rows back; `keep` writes them, and nothing that it does can be seen before that.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

from pipelines.jobs.keep import Asked, Result
from pipelines.parameters import Parameter, Value
from store.errors import UnknownName

Job = Callable[..., Result]
NAMES = ("forecasts", "anomalies", "change_points", "budgets", "queues")
_RANGE = re.compile(r"\((-?[\d_.]+) to (-?[\d_.]+)\)")

__all__ = ["NAMES", "Asked", "Job", "Result", "declared", "job", "source"]


def job(name: str) -> Job:
    """The function of the job of that name, in the module of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in NAMES:
        raise UnknownName("write-back job", name, NAMES)
    found: Job = getattr(import_module(f"pipelines.jobs.{name}"), name)
    return found


def source(name: str) -> Path:
    """The file of the job of that name."""
    return Path(inspect.getfile(job(name)))


@lru_cache
def declared(name: str) -> dict[str, Parameter]:
    """The parameters of a job: those of its function after the first, each annotated with its help.

    >>> declared("budgets")["days"].default
    90
    """
    function = job(name)
    hints = get_type_hints(function, include_extras=True)
    found = list(inspect.signature(function).parameters.values())[1:]
    return {one.name: _parameter(one.name, hints[one.name], one.default) for one in found}


def _parameter(name: str, hint: object, default: Value) -> Parameter:
    assert get_origin(hint) is Annotated, f"{name} is not annotated with its help"
    kind, text = get_args(hint)
    choices = tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
    bounds = _RANGE.search(text)
    low, high = (float(bounds[1]), float(bounds[2])) if bounds else (None, None)
    return Parameter(name, "str" if choices else kind.__name__, default, help=text, low=low, high=high, choices=choices)
