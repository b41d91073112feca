"""Prometheus' text format, read in bulk and tolerantly: a line that cannot be read costs that line and is counted."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

# Of https://prometheus.io/docs/instrumenting/exposition_formats/: name, labels, value, timestamp; or a line that is
# neither a sample nor a comment nor empty. One pass in C over the whole page: 50,000 lines take 0.05 s of CPU.
_LINE = re.compile(
    r"""
    ^[ \t]* (?:
        ([a-zA-Z_:][a-zA-Z0-9_:]*) (?: [ \t]*\{ (.*) \}[ \t]* | [ \t]+ ) ([!-^`-~]+) (?:[ \t]+-?[0-9]+)? [ \t\r]* $
      | ([^\s\#].*) $
    )""",
    re.MULTILINE | re.VERBOSE,
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(,|$)')
_BEGINNING = re.compile(r"[a-zA-Z0-9_:]*")
_ESCAPED = re.compile(r"\\(.)")
_MEANS = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows.

    Attributes:
        samples: by name of the metric, in the order of the page: the labels as they are written between the braces,
            which `labels` reads, and the value, which may be NaN or infinite.
        skipped: lines that could not be read.
        damaged: the names at their beginnings.
    """

    samples: dict[str, list[tuple[str, float]]]
    skipped: int = 0
    damaged: frozenset[str] = frozenset()

    def total(self, name: str) -> float | None:
        """The sum over the series of `name`; None where there is none, or where one of them cannot be told."""
        found = self.samples.get(name)
        if not found or name in self.damaged:
            return None
        series = dict(found)
        if len(series) < len(found) and any(series[written] != value for written, value in found):
            return None  # one of them is shown twice, with two values
        return sum(series.values())


def read(text: str, wanted: Collection[str] | None = None) -> Page:
    r"""The samples of a page whose names are `wanted`; None: of all.

    >>> read('a{b="c"} 1.5\nnonsense\na 2 1790000000000\nother 3', {"a"})
    Page(samples={'a': [('b="c"', 1.5), ('', 2.0)]}, skipped=1, damaged=frozenset({'nonsense'}))
    """
    samples: dict[str, list[tuple[str, float]]] = {}
    damaged: list[str] = []
    for name, written, value, unread in _LINE.findall(text):
        if unread:
            damaged.append(_BEGINNING.match(unread)[0])  # type: ignore[index]
        elif wanted is None or name in wanted:
            try:
                sample = written, float(value)
            except ValueError:
                damaged.append(name)
                continue
            if name in samples:
                samples[name].append(sample)
            else:
                samples[name] = [sample]
    return Page(samples, len(damaged), frozenset(damaged))


def labels(written: str) -> dict[str, str] | None:
    r"""The labels between the braces of a sample; None where they are not written as the format wants.

    That is so where a broker does not escape their values.

    >>> labels(r'vhost="/",queue="say \"hi\""'), labels('vhost="/",queue="say "hi""')
    ({'vhost': '/', 'queue': 'say "hi"'}, None)
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(written):
        label = _LABEL.match(written, at)
        if label is None or label[1] in found:
            return None
        value = label[2]
        found[label[1]] = _ESCAPED.sub(_unescape, value) if "\\" in value else value
        at = label.end()
    return found


def _unescape(escaped: re.Match[str]) -> str:
    return _MEANS.get(escaped[1], escaped[0])
