"""What the reports of every provider have in common: the questions, and a page that was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from collectors.billing.fields import Object, text
from collectors.billing.rows import Billed, Usage


@dataclass(frozen=True, slots=True)
class Ask:
    """One report to fetch: its path, its parameters, and what it is grouped by."""

    path: str
    parameters: Mapping[str, str]
    groups: tuple[str, ...]

    @property
    def kind(self) -> str:
        """`costs` or `usage`."""
        return "costs" if "cost" in self.path else "usage"

    def query(self, page: str | None) -> tuple[tuple[str, str], ...]:
        """The parameters of the request for `page`; None: the first one."""
        query = (*self.parameters.items(), *(("group_by[]", group) for group in self.groups))
        return query if page is None else (*query, ("page", page))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one page says; `next_page` asks for the one after it where there are `more`."""

    usage: list[Usage]
    billed: list[Billed]
    more: bool
    next_page: str | None

    @classmethod
    def of(cls, page: Object, usage: list[Usage], billed: list[Billed]) -> Reading:
        """The rows of `page`, and what it says of the page after it."""
        return cls(usage, billed, page.get("has_more") is True, text(page, "next_page"))


class Provider(Protocol):
    """A provider with reports on usage and cost."""

    name: str
    base_url: str
    key_setting: str

    def headers(self, key: str) -> dict[str, str]:
        """The headers that carry the admin key."""
        ...

    def asks(self, since: datetime, until: datetime) -> Iterator[Ask]:
        """The reports on the whole days from `since` to `until` (UTC, half-open)."""
        ...

    def owns(self, page: Object) -> bool:
        """Whether `page`, from a file, looks like one of its reports."""
        ...

    def read(self, page: Object, kind: str | None = None) -> Reading:
        """The rows of one page. Raises NotAReport. `kind` says what an empty bucket is of: `usage` or `costs`."""
        ...
