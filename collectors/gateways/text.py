"""The samples of a gateway's page, as counts."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from collectors import text

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
    """The samples that were wanted, and how many lines could not be read."""

    samples: tuple[Sample, ...]
    bad_lines: int


def read(shown: str, wanted: Collection[str]) -> Page:
    r"""The samples whose names are `wanted`. NaN and infinity are left out: they are no counts.

    >>> read('a{b="c"} 1.5\na{b="c} 2\nother 3', {"a"})
    Page(samples=(Sample(name='a', labels=(('b', 'c'),), value=Decimal('1.5')),), bad_lines=1)
    """
    page = text.read(shown, wanted)
    samples: list[Sample] = []
    bad = page.skipped
    known: dict[str, tuple[tuple[str, str], ...] | None] = {}  # the series of one engine share their labels
    for name, found in page.samples.items():
        for written, value in found:
            if written not in known:
                known[written] = _labels(written)
            labels = known[written]
            if labels is None:
                bad += 1
            elif math.isfinite(value):
                samples.append(Sample(name, labels, Decimal(repr(value))))
    return Page(tuple(samples), bad)


def _labels(written: str) -> tuple[tuple[str, str], ...] | None:
    labels = text.labels(written)
    return None if labels is None else tuple(sorted((key, _clean(value)) for key, value in labels.items()))


def _clean(label: str) -> str:
    return label.replace("\0", "\ufffd").encode("utf-8", "replace")[:MOST_LABEL].decode(errors="ignore")
