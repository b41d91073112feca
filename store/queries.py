"""Named queries: one `.sql` file each, with `:name` parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from psycopg import sql

from store.errors import ParameterInvalid, UnknownName
from store.files import sql_folder

# A parameter, or something that may hold a colon and is not one: a comment, a string, a quoted name, a cast.
TOKEN = re.compile(r"""--[^\n]*|/\*(?s:.*?)\*/|'(?:[^']|'')*'|"[^"]*"|::|:([a-z_][a-z0-9_]*)|\$(\w*)\$(?s:.*?)\$\2\$""")


@dataclass(frozen=True)
class Query:
    """A query as it stands in its file."""

    name: str
    text: str

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, in the order in which they first appear."""
        return tuple(dict.fromkeys(match[1] for match in TOKEN.finditer(self.text) if match[1]))

    @cached_property
    def sql(self) -> bytes:
        """The query with psycopg's `%(name)s` placeholders; bytes, since it is no literal of ours."""
        escaped = self.text.replace("%", "%%")
        return TOKEN.sub(lambda match: f"%({match[1]})s" if match[1] else match[0], escaped).encode()

    def bound(self, parameters: Mapping[str, object]) -> str:
        """The query with its parameters as literals that psycopg has quoted, for drivers without named parameters.

        Raises:
            ParameterInvalid: one is missing or not known.
        """
        self.check(parameters)
        return TOKEN.sub(
            lambda match: sql.Literal(parameters[match[1]]).as_string() if match[1] else match[0], self.text
        )

    def check(self, parameters: Mapping[str, object]) -> None:
        """Raises `ParameterInvalid` unless `parameters` are exactly those of the query."""
        for name in parameters:
            if name not in self.parameters:
                raise ParameterInvalid(
                    name, f"query {self.name!r} has no such parameter; it takes {', '.join(self.parameters) or 'none'}"
                )
        for name in self.parameters:
            if name not in parameters:
                raise ParameterInvalid(name, f"query {self.name!r} needs it")


def names() -> list[str]:
    """The names of all queries, sorted."""
    return sorted(path.stem for path in (sql_folder() / "queries").glob("*.sql"))


@lru_cache
def named(name: str) -> Query:
    """The query `sql/queries/<name>.sql`.

    Raises:
        UnknownName: there is none; names the closest.
    """
    folder = sql_folder() / "queries"
    path = folder / f"{name}.sql"
    if path.parent != folder or not path.is_file():
        raise UnknownName("query", name, names())
    return Query(name, path.read_text(encoding="utf-8").strip().removesuffix(";"))
