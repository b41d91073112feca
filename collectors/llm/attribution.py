"""Whose calls these are: team, project and environment, by context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from collectors.llm.clean import name


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a call is booked to; None leaves it to what `install` was given."""

    team: str | None = None
    project: str | None = None
    environment: str | None = None

    def over(self, default: Owner) -> Owner:
        """The owner, with the gaps filled from `default`."""
        return Owner(
            self.team or default.team, self.project or default.project, self.environment or default.environment
        )


_owner: ContextVar[Owner | None] = ContextVar("gaugebook_llm_owner", default=None)


@contextmanager
def attribute(*, team: str | None = None, project: str | None = None, environment: str | None = None) -> Iterator[None]:
    """Book the LLM calls made inside the block to these; what is left out stays as it was outside.

    It follows the context: an asyncio task inherits it, a new thread does not.

    >>> with attribute(team="search"), attribute(project="ranking"):
    ...     current()
    Owner(team='search', project='ranking', environment=None)
    """
    token = _owner.set(Owner(name(team), name(project), name(environment)).over(current()))
    try:
        yield
    finally:
        _owner.reset(token)


def current() -> Owner:
    """The owner that the innermost `attribute` names."""
    return _owner.get() or Owner()
