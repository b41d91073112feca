"""Names that are wanted: globs, regular expressions, and their exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from store.errors import ParameterInvalid

REGEX, NOT = "re:", "!"


class Patterns:
    """Whether a name is wanted. `orders-*` is a glob, `re:orders-[0-9]+` a regular expression; both match whole names.

    `!orders-dead` is an exception. Without a pattern that is none, every name is wanted but the exceptions.

    Raises:
        ParameterInvalid: a regular expression is none; `parameter` names the setting.

    >>> wanted = Patterns(["orders-*", "re:(un)?paid", "!*-dead"])
    >>> [wanted(name) for name in ("orders-1", "unpaid", "orders-dead", "prepaid")]
    [True, True, False, False]
    """

    def __init__(self, patterns: Iterable[str], *, parameter: str = "patterns") -> None:
        given = tuple(patterns)
        self._wanted = [_compiled(each, parameter) for each in given if not each.startswith(NOT)]
        self._not = [_compiled(each.removeprefix(NOT), parameter) for each in given if each.startswith(NOT)]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._wanted or self._not)

    def __call__(self, name: str) -> bool:
        if any(pattern.fullmatch(name) for pattern in self._not):
            return False
        return not self._wanted or any(pattern.fullmatch(name) for pattern in self._wanted)


def _compiled(pattern: str, parameter: str) -> re.Pattern[str]:
    if not pattern.startswith(REGEX):
        return re.compile(translate(pattern))
    try:
        return re.compile(pattern.removeprefix(REGEX))
    except re.error as error:
        raise ParameterInvalid(parameter, f"{pattern!r} is no regular expression: {error}") from None
