"""Whose calls these are: team, project, environment and tags, from the context, the request's headers or settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from collectors.llm.clean import name

HEADER = "x-gaugebook-"
MOST_TAGS = 16
LONGEST_KEY = 64

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a call is booked to; None leaves it to whoever is asked next."""

    team: str | None = None
    project: str | None = None
    environment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def over(self, default: Owner) -> Owner:
        """The owner, with the gaps filled from `default`, and the tags of both."""
        tags = self.tags
        if default.tags:
            tags = {**tags, **{key: value for key, value in default.tags.items() if key not in tags}}
        return Owner(
            self.team or default.team,
            self.project or default.project,
            self.environment or default.environment,
            tags if len(tags) <= MOST_TAGS else dict(list(tags.items())[:MOST_TAGS]),
        )


NOBODY = Owner()


def owner(
    team: object = None, project: object = None, environment: object = None, tags: Mapping[str, str] | None = None
) -> Owner:
    """An owner made of what a user gave, cut to what may be stored."""
    return Owner(name(team), name(project), name(environment), _tags(tags or {}))


@dataclass(frozen=True, slots=True)
class _Frame:
    owner: Owner
    outer: _Frame | None


_frame: ContextVar[_Frame | None] = ContextVar("gaugebook_llm_owner", default=None)


class Attribution:
    """A block or a function whose calls belong to somebody; may be entered again, and by many threads and tasks."""

    def __init__(self, whose: Owner) -> None:
        self._owner = whose

    def __enter__(self) -> None:
        _frame.set(_Frame(self._owner.over(current()), _frame.get()))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        frame = _frame.get()
        _frame.set(None if frame is None else frame.outer)

    def __call__(self, function: Callable[_P, _R]) -> Callable[_P, _R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator, which runs after it was called; use `with` in it")
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: Any, **options: Any) -> Any:
                with self:
                    return await function(*args, **options)

            return cast("Callable[_P, _R]", awaited)

        @wraps(function)
        def called(*args: _P.args, **options: _P.kwargs) -> _R:
            with self:
                return function(*args, **options)

        return called


def attribute(
    *,
    team: str | None = None,
    project: str | None = None,
    environment: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Attribution:
    """Book the LLM calls of a block, or of a function that this decorates, to these; the rest stays as it was outside.

    It follows the context: an asyncio task inherits it, a new thread does not.

    Args:
        team: what the row says; at most 200 printable characters.
        project: as `team`.
        environment: as `team`.
        tags: more about the call, kept in `attrs`; at most 16, keys of 64 characters, values of 200.

    >>> with attribute(team="search", tags={"feature": "hints"}), attribute(project="ranking"):
    ...     current()
    Owner(team='search', project='ranking', environment=None, tags={'feature': 'hints'})
    >>> @attribute(team="search")
    ... def who():
    ...     return current().team
    >>> who()
    'search'
    """
    return Attribution(owner(team, project, environment, tags))


def current() -> Owner:
    """The owner that the innermost `attribute` names."""
    frame = _frame.get()
    return NOBODY if frame is None else frame.owner


def of_headers(headers: Mapping[str, str]) -> Owner:
    """The owner that a request's own headers name; `headers` by lower-case name.

    >>> of_headers({"x-gaugebook-team": "search", "x-gaugebook-tags": "feature=hints, tier=free"})
    Owner(team='search', project=None, environment=None, tags={'feature': 'hints', 'tier': 'free'})
    """
    told = headers.get(HEADER + "tags", "")
    pairs = (pair.partition("=") for pair in told.split(",")[: 2 * MOST_TAGS]) if told else ()
    return owner(
        headers.get(HEADER + "team"),
        headers.get(HEADER + "project"),
        headers.get(HEADER + "environment"),
        {key.strip(): value for key, _, value in pairs},
    )


def _tags(given: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in given.items():
        key_name, value_name = name(key), name(value if isinstance(value, str) else str(value))
        if key_name and value_name:
            kept[key_name[:LONGEST_KEY]] = value_name
        if len(kept) == MOST_TAGS:
            break
    return kept
