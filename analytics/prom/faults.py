"""Where a query is wrong, as its reader sees it."""

from __future__ import annotations

import re

from rich.cells import cell_len

from store.errors import QueryRefused

# `invalid parameter "query": 1:5: parse error: unexpected …`; line and column count from 1, the column in bytes.
PLACE = re.compile(r'^(?:invalid parameter "query": )?(?:(\d+):(\d+): )?')


def refused(where: str, query: str, message: str) -> QueryRefused:
    """The error of a server that refuses `query` with `message`."""
    found = PLACE.match(message)
    reason = message[found.end() :] if found else message
    line, column = (int(found[1]), int(found[2])) if found and found[1] else (None, None)
    return QueryRefused(where, query, reason, marked(query, line, column))


def marked(query: str, line: int | None, column: int | None) -> str:
    """The query, indented, a caret under the byte `column` of `line` (both from 1) where they are known.

    >>> print(marked('sum(rate(x)))', 1, 13))
      sum(rate(x)))
                  ^
    """
    shown = []
    for number, text in enumerate(query.split("\n"), start=1):
        flat = text.replace("\t", " ").rstrip("\r")
        shown.append(f"  {flat}")
        if number == line and column is not None:
            before = flat.encode()[: column - 1].decode(errors="ignore")
            shown.append(f"  {' ' * cell_len(before)}^")
    return "\n".join(shown)
