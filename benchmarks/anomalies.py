"""Anomalies beside their peers: NAB, Microsoft's labelled telemetry, and speed.

    python benchmarks/anomalies.py [--data FOLDER] [--points 100000] [--json FILE]

NAB is scored as numenta/NAB does it, with the public function and its defaults, the threshold being the best one of the
corpus for each detector; what the default rate gives is printed too. A random cut forest is not run: the result that
NAB publishes for Amazon's stands for it. CPU time of one process.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics import Scorer, anomalies
from benchmarks.parts import anomalies_nab as nab
from benchmarks.parts.anomalies_peers import PEERS, PER_MILLE
from benchmarks.parts.figures import Figure, save, show
from store.errors import ParameterInvalid

Floats = NDArray[np.float64]
RATE = 1e-3
PUBLISHED = {"random cut forest, published": (51.72, 38.36), "KNN-CAD, published": (57.99, 43.41)}
LEAST_NAB, LEAST_LOW_FP, LEAST_AP, MOST_OFF = 60.0, 50.0, 0.60, 1.5
LEAST_BATCH, MOST_STREAM_US = 100_000.0, 20.0


@dataclass(frozen=True)
class Labelled:
    """One series of Microsoft's: values, and which of them are labelled anomalous."""

    name: str
    frame: pl.DataFrame
    label: NDArray[np.bool_]


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("GAUGEBOOK_DATA", Path(__file__).parents[2] / "shared/data")
    parser.add_argument("--data", type=Path, default=Path(data), metavar="FOLDER", help="the one with anomaly/ in it")
    parser.add_argument("--points", type=int, default=100_000, help="of the stream whose speed is measured")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = [
        *of_nab(arguments.data / "anomaly/nab"),
        *of_microsoft(arguments.data / "anomaly/ms_cloud"),
        *of_speed(arguments.points),
    ]
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def of_nab(folder: Path) -> list[Figure]:
    """Scores of the whole corpus; halves and the default rate are printed beside them."""
    files = nab.corpus(folder)
    found = {"ours": [_of_file(file) for file in files]}
    for name, peer in PEERS.items():
        found[name] = [peer(file.values, _per_hour(file.frame())) for file in files]
    made = {name: nab.scores(files, one) for name, one in found.items()}
    for name, profiles in made.items():
        print(f"NAB {name}: {', '.join(f'{profile} {s:.1f} at {t:.2f}' for profile, (s, t) in profiles.items())}")
    for half in (0, 1):
        other = nab.scores(files[1 - half :: 2], found["ours"][1 - half :: 2])["standard"][1]
        moved = nab.at_threshold(files[half::2], found["ours"][half::2], other)
        print(f"NAB ours, half {half} at the threshold of the other: {moved}")
    print(f"NAB ours at the default rate: {nab.at_threshold(files, found['ours'], -np.log10(RATE))}")
    figures = []
    for place, (profile, least) in enumerate((("standard", LEAST_NAB), ("low false positives", LEAST_LOW_FP))):
        ours = made["ours"][profile][0]
        peers = {name: one[profile][0] for name, one in made.items() if name != "ours"}
        peers |= {name: published[place] for name, published in PUBLISHED.items()}
        figures.append(Figure(f"NAB, {profile}", "score", ours, peers, 100.0, ours, least))
    return figures


def of_microsoft(folder: Path) -> list[Figure]:
    """Average precision against the labels, the mean over the series that have any; and the false-alarm rate."""
    series = [_labelled(path) for path in sorted(folder.glob("*/*.csv"))]
    found = {"ours": [_joined(one.frame, anomalies(one.frame, RATE).table) for one in series]}
    for name, peer in PEERS.items():
        found[name] = [peer(one.frame["y"].to_numpy(), _per_hour(one.frame)) for one in series]
    precision, rates = {}, {}
    for name, scores in found.items():
        each = [average_precision(one.label, s) for one, s in zip(series, scores, strict=True) if one.label.any()]
        precision[name] = float(np.mean(each))
        limit = -np.log10(RATE) if name == "ours" else PER_MILLE
        normal = [s[~one.label & np.isfinite(s)] >= limit for one, s in zip(series, scores, strict=True)]
        rates[name] = float(np.concatenate(normal).mean()) / RATE
        pooled = average_precision(np.concatenate([one.label for one in series]), np.concatenate(scores))
        ap = f"AP {precision[name]:.3f}, all points in one ranking {pooled:.3f}"
        print(f"Microsoft {name}: {ap}, false alarms {rates[name]:.2f} times those asked for")
    off = max(rates["ours"], 1 / rates["ours"]) if rates["ours"] else float("inf")
    others = {name: one for name, one in precision.items() if name != "ours"}
    beside = {name: one for name, one in rates.items() if name != "ours"}
    labelled = f"Microsoft, {len(series)} series"
    return [
        Figure(f"{labelled}: average precision", "share", precision["ours"], others, 1.0, precision["ours"], LEAST_AP),
        Figure(
            f"{labelled}: false alarms per alarm asked for",
            "x",
            rates["ours"],
            beside,
            1.0,
            off,
            MOST_OFF,
            at_most=True,
        ),
    ]


def of_speed(points: int) -> list[Figure]:
    """One stream of five-minute points with a daily season, in one call and point by point."""
    t = np.arange(points)
    values = 100 + 20 * np.sin(t / 288 * 2 * np.pi) + np.random.default_rng(0).normal(size=points)
    batch = _cpu_s(lambda: Scorer((288, 2016)).feed(values))
    scorer = Scorer((288, 2016))
    half = points // 2
    scorer.feed(values[:half])
    rest = values[half:].tolist()

    def stream() -> None:
        for value in rest:
            scorer.push(value)

    each = 1e6 * _cpu_s(stream) / len(rest)
    print(f"state: {len(scorer.to_bytes()):,} bytes")
    return [
        Figure("one stream, in one call", "points/s", points / batch, {}, None, points / batch, LEAST_BATCH),
        Figure("one stream, point by point", "us a point", each, {}, None, each, MOST_STREAM_US, at_most=True),
    ]


def average_precision(label: NDArray[np.bool_], score: Floats) -> float:
    """Mean precision over the labelled points, equal scores taken together; NaN ranks last.

    >>> average_precision(np.array([True, False, True]), np.array([3.0, 2.0, 1.0]))
    0.8333333333333333
    """
    kept = np.nan_to_num(score, nan=-np.inf)
    order = np.argsort(-kept, kind="stable")
    ends = np.append(kept[order][1:] != kept[order][:-1], True)
    hits, seen = np.cumsum(label[order])[ends], np.flatnonzero(ends) + 1
    return float(np.sum(np.diff(hits, prepend=0) * hits / seen) / label.sum())


def _of_file(file: nab.File) -> Floats:
    frame = file.frame()
    try:
        table = anomalies(frame, RATE).table
    except ParameterInvalid:
        # Rows on no regular clock: by their number.
        frame = frame.with_columns(ds=pl.col("row"))
        table = anomalies(frame, RATE).table
    score = np.full(len(file.values), np.nan)
    score[frame["row"].to_numpy()] = _joined(frame, table)
    return score


def _joined(frame: pl.DataFrame, table: pl.DataFrame) -> Floats:
    """Scores in the order of the rows of `frame`."""
    scores = frame.select("ds").join(table.select("ds", "score"), on="ds", how="left", maintain_order="left")["score"]
    return scores.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _labelled(path: Path) -> Labelled:
    with path.open() as lines:
        rows = {row["TimeStamp"].replace("Z", "").replace("T", " "): row for row in csv.DictReader(lines)}
    values = [float(row["Value"]) if row["Value"] else float("nan") for row in rows.values()]
    frame = pl.DataFrame({"ds": list(rows), "y": values}).with_columns(
        pl.col("ds").str.to_datetime("%Y-%m-%d %H:%M:%S")
    )
    return Labelled(path.name, frame, np.array([row["Label"] == "1" for row in rows.values()]))


def _per_hour(frame: pl.DataFrame) -> float:
    gap = frame["ds"].diff().median()
    return 3600 / gap.total_seconds() if gap else 1.0  # type: ignore[union-attr]  # a difference of times


def _cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
