"""The samples of a Prometheus text page; a line that cannot be read costs that line alone."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

MOST_LABEL = 200  # characters of a label's value; the key of a table has to fit into an index page


@dataclass(frozen=True, slots=True)
class Sample:
    """One series at one moment; `labels` are sorted pairs."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: Decimal

    def label(self, *names: str) -> str | None:
        """The first of these labels that says something; "None" is what Python programs write for nothing."""
        found = dict(self.labels)
        return next((value for name in names if (value := found.get(name)) not in (None, "", "None")), None)


@dataclass(frozen=True, slots=True)
class Page:
    """The samples that were wanted, and how many lines of theirs could not be read."""

    samples: tuple[Sample, ...]
    bad_lines: int


def read(text: str, wanted: Collection[str]) -> Page:
    r"""The samples whose names are `wanted`. NaN and infinity are left out: they are no counts.

    >>> read('a{b="c"} 1.5\na{b="c} 2\nother 3', {"a"})
    Page(samples=(Sample(name='a', labels=(('b', 'c'),), value=Decimal('1.5')),), bad_lines=1)
    """
    samples: list[Sample] = []
    bad = 0
    for line in text.split("\n"):
        name = line.lstrip().partition("{")[0].partition(" ")[0].strip()
        if name not in wanted:
            continue
        try:
            for family in text_string_to_metric_families(line):
                for name, labels, value, *_ in family.samples:
                    if math.isfinite(value):
                        kept = sorted((key, _clean(label)) for key, label in labels.items())
                        samples.append(Sample(name, tuple(kept), Decimal(repr(value))))
        except (ValueError, KeyError, IndexError, OverflowError):
            bad += 1
    return Page(tuple(samples), bad)


def _clean(label: str) -> str:
    return label.replace("\0", "\ufffd").encode("utf-8", "replace")[:MOST_LABEL].decode(errors="ignore")
