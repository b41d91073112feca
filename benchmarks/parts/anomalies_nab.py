"""The Numenta Anomaly Benchmark: its corpus, and its scoring exactly as numenta/NAB does it.

Lavin, Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015; nab/sweeper.py, nab/optimizer.py and
nab/runner.py of the repository. With the scores that the repository publishes for its detectors this gives the results
that it publishes: knncad 57.99, randomCutForest 51.72, windowedGaussian 39.65 on the standard profile.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PROBATION = 0.15
# Weights of a true positive, a false positive, a false negative.
PROFILES = {
    "standard": (1.0, 0.11, 1.0),
    "low false positives": (1.0, 0.22, 1.0),
    "low false negatives": (1.0, 0.11, 2.0),
}


@dataclass(frozen=True)
class File:
    """One series: its rows as they stand, the window that each lies in (-1: none), and the weight of an alarm there."""

    name: str
    times: list[str]
    values: Floats
    window: NDArray[np.int64]
    sweep: Floats
    windows: int

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Rows after the probationary period."""
        return np.arange(len(self.values)) >= min(floor(PROBATION * len(self.values)), PROBATION * 5000)

    def frame(self) -> pl.DataFrame:
        """Rows `row, ds, y`, the first of each time."""
        rows = pl.DataFrame({"row": np.arange(len(self.times)), "ds": self.times, "y": self.values})
        when = pl.col("ds").str.to_datetime("%Y-%m-%d %H:%M:%S")
        return rows.with_columns(when).unique("ds", keep="first", maintain_order=True)


def corpus(folder: Path) -> list[File]:
    """The 58 series of the corpus, with their 116 windows."""
    limits = json.loads((folder / "labels/combined_windows.json").read_text())
    return [_file(folder / "data" / name, name, limits[name]) for name in sorted(limits)]


def scores(files: list[File], found: list[Floats]) -> dict[str, tuple[float, float]]:
    """(normalised score, threshold) of each profile, the threshold being the best one for the whole corpus.

    Args:
        files: what `corpus` reads.
        found: a score per row of each, larger is more anomalous; NaN never alarms.
    """
    score, sweep, window = _joined(files, found)
    order = np.argsort(-score, kind="stable")
    score, sweep, window = score[order], sweep[order], window[order]
    ends = np.append(score[1:] != score[:-1], True) & np.isfinite(score)
    made = {}
    for profile, (hit, false, missed) in PROFILES.items():
        gains = np.where(window < 0, false * sweep, 0.0)
        count = int(window.max()) + 1
        best = np.full(count, -missed)
        for k in np.flatnonzero(window >= 0):
            gains[k] = max(0.0, hit * sweep[k] - best[window[k]])
            best[window[k]] += gains[k]
        totals = np.where(ends, np.cumsum(gains), -np.inf)
        at = int(np.argmax(totals))
        most = sum(file.windows for file in files) * hit + count * missed
        made[profile] = (100 * max(0.0, float(totals[at])) / most, float(score[at]))
    return made


def at_threshold(files: list[File], found: list[Floats], threshold: float) -> dict[str, float]:
    """Normalised score of each profile at a threshold that is given, and how many windows and false alarms it has."""
    alarms = [np.where(np.nan_to_num(one, nan=-np.inf) >= threshold, 1.0, np.nan) for one in found]
    score, sweep, window = _joined(files, alarms)
    raised = np.isfinite(score)
    made = {"windows found": float(len(np.unique(window[raised & (window >= 0)])))}
    made["false alarms"] = float((raised & (window < 0)).sum())
    for profile, (hit, false, missed) in PROFILES.items():
        count = int(window.max()) + 1
        best = np.full(count, -missed)
        inside = raised & (window >= 0)
        np.maximum.at(best, window[inside], hit * sweep[inside])
        gained = best.sum() + count * missed + false * sweep[raised & (window < 0)].sum()
        made[profile] = 100 * float(gained) / (sum(file.windows for file in files) * hit + count * missed)
    return made


def _joined(files: list[File], found: list[Floats]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Scores, weights and windows of all scored rows, windows numbered through the corpus."""
    parts, first = [], 0
    for file, score in zip(files, found, strict=True):
        window = np.where(file.window >= 0, file.window + first, -1)
        first += file.windows
        kept = np.where(np.isfinite(score), score, -np.inf)
        parts.append((kept[file.scored], file.sweep[file.scored], window[file.scored]))
    score, sweep, window = (np.concatenate(part) for part in zip(*parts, strict=True))
    return score, sweep, window


def _file(path: Path, name: str, limits: list[list[str]]) -> File:
    with path.open() as lines:
        rows = [(row["timestamp"], float(row["value"])) for row in csv.DictReader(lines)]
    times = [time for time, _ in rows]
    count = len(times)
    window, sweep = np.full(count, -1), np.full(count, -1.0)
    rows_at = np.arange(count)
    for k, (start, stop) in enumerate(limits):
        left, right = times.index(start[:19]), times.index(stop[:19])
        width = right - left + 1
        inside = slice(left, right + 1)
        window[inside] = k
        sweep[inside] = _sigmoid(-(right - rows_at[inside] + 1) / width) / _sigmoid(np.array(-1.0))
        # An alarm after a window is the less wrong the nearer it is.
        sweep[right + 1 :] = _sigmoid((rows_at[right + 1 :] - right) / (width - 1))
    return File(name, times, np.array([value for _, value in rows]), window, sweep, len(limits))


def _sigmoid(position: Floats) -> Floats:
    """NAB's scaled sigmoid of the position relative to a window: 0.987 at its start, 0 at its end, -1 far behind it."""
    return np.where(position > 3.0, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3.0))) - 1)
