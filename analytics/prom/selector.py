"""Which queries are plain selectors, such as `up{job="api"}`: only these can be read as they are stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

NAME = "__name__"
METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SPACE = re.compile(r"(?:\s|#[^\n]*(?:\n|$))*")
OPERATOR = re.compile(r"=~|!~|!=|=")
QUOTED = re.compile(r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`""")
ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.|$))", re.DOTALL
)
LETTERS = dict(zip(b"abfnrtv\\'\"", b"\a\b\f\n\r\t\v\\'\"", strict=True))
# Words that PromQL reads otherwise where a metric could stand.
KEYWORDS = {
    *("and", "atan2", "bool", "by", "group_left", "group_right", "ignoring", "inf", "nan", "offset", "on", "or"),
    *("unless", "without", "start", "end", "fill", "fill_left", "fill_right", "anchored", "smoothed"),
    *("avg", "bottomk", "count", "count_values", "group", "limitk", "limit_ratio", "max", "min", "quantile"),
    *("stddev", "stdvar", "sum", "topk"),
}

Operator = Literal["=", "!=", "=~", "!~"]


@dataclass(frozen=True)
class Matcher:
    """One condition on a label."""

    name: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        name = self.name if LABEL.fullmatch(self.name) else quoted(self.name)
        return f"{name}{self.operator}{quoted(self.value)}"

    @property
    def selective(self) -> bool:
        """Whether a series without the label fails it; a selector needs one such condition."""
        if self.operator in ("=", "!="):
            return (self.value == "") == (self.operator == "!=")
        try:
            return (re.fullmatch(self.value, "") is None) == (self.operator == "=~")
        except re.error:  # Go's syntax differs in rare things
            return self.value not in ("", ".*")


@dataclass(frozen=True)
class Selector:
    """Series by conditions on their labels."""

    matchers: tuple[Matcher, ...]

    def __str__(self) -> str:
        return "{" + ",".join(map(str, self.matchers)) + "}"


class _NotPlain(Exception):
    """It is an expression, or no PromQL at all."""


def plain(query: str) -> Selector | None:
    """The query as a selector; None where it is anything else, a mistake too: the server says best what is wrong.

    >>> str(plain('up{job="api", pod=~"a.*",}'))
    '{__name__="up",job="api",pod=~"a.*"}'
    >>> plain("rate(up[5m])") is None, plain("up offset 1h") is None, plain("up[5m]") is None, plain("up{") is None
    (True, True, True, True)
    """
    try:
        matchers = tuple(_Reader(query).selector())
    except _NotPlain:
        return None
    return Selector(matchers) if any(matcher.selective for matcher in matchers) else None


def quoted(text: str) -> str:
    r"""A text as PromQL writes it.

    >>> print(quoted('say "hi"'))
    "say \"hi\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Reader:
    def __init__(self, query: str) -> None:
        self._query, self._at = query, 0

    def selector(self) -> list[Matcher]:
        matchers = []
        name = self._take(METRIC)
        if name:
            if name.lower() in KEYWORDS:
                raise _NotPlain
            matchers.append(Matcher(NAME, "=", name))
        if self._take(re.compile("{")):
            matchers += self._matchers(named=bool(name))
        elif not name:
            raise _NotPlain
        self._take(SPACE)
        if self._at != len(self._query):
            raise _NotPlain
        return matchers

    def _matchers(self, *, named: bool) -> list[Matcher]:
        matchers: list[Matcher] = []
        while not self._take(re.compile("}")):
            label = self._take(LABEL)
            in_quotes = None if label else self._take(QUOTED)
            name = label or _unquoted(in_quotes)
            operator = self._take(OPERATOR)
            if operator:
                value = _unquoted(self._take(QUOTED))
                if operator not in ("=", "!=", "=~", "!~"):
                    raise AssertionError(operator)
                matchers.append(Matcher(name, operator, value))  # type: ignore[arg-type]  # as checked above
            elif in_quotes and not named:  # {"metric", …}, since Prometheus 3.0
                matchers.append(Matcher(NAME, "=", name))
                named = True
            else:
                raise _NotPlain
            if not self._take(re.compile(",")) and not self._query.startswith("}", self._at):
                raise _NotPlain
        return matchers

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """The next token where it is of this kind; the space before it is passed over."""
        space = SPACE.match(self._query, self._at)
        begin = space.end() if space else self._at
        found = pattern.match(self._query, begin)
        if found is None:
            self._at = begin
            return None
        self._at = found.end()
        return found[0]


def _unquoted(text: str | None) -> str:
    if text is None:
        raise _NotPlain
    if text[0] == "`":
        return text[1:-1]
    try:
        return ESCAPE.sub(_meant, text[1:-1].encode()).decode()
    except ValueError:
        raise _NotPlain from None


def _meant(escape: re.Match[bytes]) -> bytes:
    letter, byte, octal, short, long, _ = escape.groups()
    if letter:
        return bytes([LETTERS[letter[0]]])
    if byte or octal:
        return bytes([int(byte, 16) if byte else int(octal, 8)])
    if short or long:
        return chr(int(short or long, 16)).encode()
    raise _NotPlain
