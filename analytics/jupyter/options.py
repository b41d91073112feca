"""The line of a magic: its words, its options, and the values of its parameters."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from datetime import timedelta
from typing import NoReturn

from analytics.prom.times import duration_ms
from store.errors import ParameterInvalid


class Line(argparse.ArgumentParser):
    """Options as a command has them; a wrong one is an error of ours with the usage, and ends nothing."""

    def __init__(self, magic: str) -> None:
        super().__init__(prog=magic, add_help=False, allow_abbrev=False)  # a % in it would be taken for a format

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        raise ParameterInvalid(f"%{self.prog}", f"{message}. Usage: %{usage}")

    def read(self, line: str) -> argparse.Namespace:
        """The line taken apart.

        Raises:
            ParameterInvalid: it cannot be; says why, and what can.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            self.error(f"{error}")
        return self.parse_intermixed_args(words)


def assigned(pairs: list[str]) -> dict[str, object]:
    """`name=value` words as parameters.

    >>> assigned(["days=7", "team=search", "by=[team,model]", "since=2026-03-01"])
    {'days': 7, 'team': 'search', 'by': ['team', 'model'], 'since': '2026-03-01'}

    Raises:
        ParameterInvalid: a word is no assignment.
    """
    made: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
            raise ParameterInvalid(pair, "expected name=value, such as days=7")
        made[name] = value(text)
    return made


def value(text: str) -> object:
    """A value as a person writes it: a number, a list, or the text as it is.

    >>> value("1.5"), value("[a,b]"), value("[]"), value("None"), value("it's"), value("2026-11-23")
    (1.5, ['a', 'b'], [], None, "it's", '2026-11-23')
    """
    try:
        found: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if text.startswith("[") and text.endswith("]"):
            return [value(one.strip()) for one in text[1:-1].split(",") if one.strip()]
        return text
    return found


def span(text: str) -> timedelta | str:
    """A duration such as "6h" as a time span, anything else as it is.

    >>> span("6h"), span("2026-03-01T00:00Z")
    (datetime.timedelta(seconds=21600), '2026-03-01T00:00Z')
    """
    found = duration_ms(text)
    return text if found is None else timedelta(milliseconds=found)
