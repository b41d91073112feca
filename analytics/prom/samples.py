"""Samples of series, and the frame that they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.prom.selector import NAME

TIME, VALUE = "ds", "y"
Labels = dict[str, str]


@dataclass
class Samples:
    """Samples, series by series, in order of time within each.

    `counts[n]` samples belong to the series with `labels[n]`; `times` are microseconds since 1970. `histograms` is the
    number of series of which native histograms were left out.
    """

    labels: list[Labels]
    counts: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: int = 0

    def frame(self) -> pl.DataFrame:
        """One row per sample: a categorical column per label, `ds` (UTC), `y`. Null: no such label."""
        held = self.counts > 0
        labels = [each for each, any_ in zip(self.labels, held, strict=True) if any_]
        counts = self.counts[held]
        columns = [_column(name, [each.get(name) for each in labels], counts) for name in names(labels)]
        times = pl.Series(TIME, self.times).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return pl.DataFrame([*columns, times, pl.Series(VALUE, self.values)])


def joined(parts: Sequence[Samples]) -> Samples:
    """Parts that follow each other in time as one: every series has its samples side by side."""
    if len(parts) == 1:
        return parts[0]
    numbers: dict[frozenset[tuple[str, str]], int] = {}
    labels: list[Labels] = []
    pieces: list[tuple[int, int, int, int]] = []  # series, part, begin, end
    for n, part in enumerate(parts):
        ends = np.cumsum(part.counts)
        for each, end, count in zip(part.labels, ends.tolist(), part.counts.tolist(), strict=True):
            number = numbers.setdefault(frozenset(each.items()), len(numbers))
            if number == len(labels):
                labels.append(each)
            pieces.append((number, n, end - count, end))
    pieces.sort()
    counts = np.zeros(len(labels), dtype=np.int64)
    for number, _, begin, end in pieces:
        counts[number] += end - begin
    times = np.empty(int(counts.sum()), dtype=np.int64)
    values = np.empty(len(times))
    at = 0
    for _, n, begin, end in pieces:
        times[at : at + end - begin] = parts[n].times[begin:end]
        values[at : at + end - begin] = parts[n].values[begin:end]
        at += end - begin
    return Samples(labels, counts, times, values, max((part.histograms for part in parts), default=0))


def names(labels: Iterable[Mapping[str, str]]) -> list[str]:
    """The names of all labels: the metric's first, the others sorted."""
    return sorted({name for each in labels for name in each}, key=lambda name: (name != NAME, name))


def _column(name: str, values: list[str | None], counts: NDArray[np.int64]) -> pl.Series:
    named = pl.Series(values, dtype=pl.String).cast(pl.Categorical)  # polars forgets names without a holder
    codes = named.to_physical()
    repeated = pl.Series(np.repeat(codes.fill_null(0).to_numpy(), counts))
    column = repeated.cat.to(pl.Categorical)
    if codes.null_count():
        there = pl.Series(np.repeat(codes.is_not_null().to_numpy(), counts))
        column = pl.select(pl.when(there).then(column)).to_series()
    # As Prometheus itself does with a label of a target that it wants for its own.
    return column.alias(f"exported_{name}" if name in (TIME, VALUE) else name)
