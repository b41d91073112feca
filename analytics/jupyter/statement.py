"""One SQL statement with `:name` parameters: where each comes from, and where the server finds fault with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analytics.prom.faults import marked
from store.errors import ParameterInvalid, SqlRefused
from store.queries import TOKEN

# What a cursor can be declared for; anything else is short, such as EXPLAIN and SHOW.
ROWS = ("select", "with", "values", "table", "(")


@dataclass(frozen=True)
class Statement:
    """SQL as it was written. `names` are its parameters, `sent` is what the server gets, with `$1` for the first."""

    text: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its parameters, in the order in which they first appear."""
        return tuple(dict.fromkeys(match[1] for match in TOKEN.finditer(self.text) if match[1]))

    @cached_property
    def sent(self) -> str:
        """The text with numbered placeholders.

        >>> Statement("select :a::int + :b + :a").sent
        'select $1::int + $2 + $1'
        """
        return "".join(part for part, _ in self._parts)

    @property
    def streams(self) -> bool:
        """Whether its rows can be fetched in parts."""
        bare = "".join(" " if match[0].startswith(("--", "/*")) else match[0] for match in _words(self.text))
        return bare.strip().lower().startswith(ROWS)

    def values(self, given: Mapping[str, object], around: Mapping[str, object]) -> list[Any]:
        """The values to bind: those given, else the variables of the same name.

        Raises:
            ParameterInvalid: a parameter has no value, or one is given that the statement does not have.
        """
        for name in given:
            if name not in self.names:
                takes = ", ".join(self.names) or "none"
                raise ParameterInvalid(name, f"the statement has no such parameter; it takes {takes}")
        for name in self.names:
            if name not in given and name not in around:
                raise ParameterInvalid(name, f"has no value; give --param {name}=… or a variable of that name")
        return [_bindable(given[name] if name in given else around[name]) for name in self.names]

    def refused(self, reason: str, position: int | None, hint: str = "") -> SqlRefused:
        """The error of a server that finds fault at `position`, a character of `sent`, from 1."""
        said = f"{reason}. {hint}" if hint else reason
        if position is None:
            return SqlRefused(said)
        at = self._place(position - 1)
        before = self.text[:at]
        line = before.count("\n") + 1
        column = len(before.rpartition("\n")[2].encode()) + 1
        return SqlRefused(said, marked(self.text, line, column))

    @cached_property
    def _parts(self) -> list[tuple[str, int]]:
        """Pieces of what is sent, each with the place in the text that it stands for."""
        made, last = [], 0
        for match in TOKEN.finditer(self.text):
            if match[1]:
                made += [(self.text[last : match.start()], last), (f"${self.names.index(match[1]) + 1}", match.start())]
                last = match.end()
        return [*made, (self.text[last:], last)]

    def _place(self, sent: int) -> int:
        """The place in the text of a place in what was sent."""
        starts, total = [], 0
        for part, _ in self._parts:
            starts.append(total)
            total += len(part)
        k = bisect_right(starts, sent) - 1
        part, origin = self._parts[k]
        return min(len(self.text), origin if part.startswith("$") and k % 2 else origin + sent - starts[k])


def _words(text: str) -> Any:
    """The tokens of the text, and single characters between them."""
    import re

    return re.finditer(f"{TOKEN.pattern}|.", text, re.DOTALL)


def _bindable(value: Any) -> Any:
    """A value as psycopg takes it: columns and arrays as lists, numbers of numpy as Python's."""
    for convert in ("to_list", "tolist"):
        if hasattr(value, convert):
            return getattr(value, convert)()
    return value
