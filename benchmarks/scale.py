"""Forecasts at scale: Dask and Ray beside one core, 100,000 leaves reconciled beside the package, many series.

    python benchmarks/scale.py [--only cores] [--series 4000] [--leaves 100000] [--many 20000] [--json FILE]

Every way runs in a process of its own; Ray's environment is made in a temporary folder from benchmarks/peers/ray.txt.
`--only default` prints the backtests by which the default engine was chosen; it is no part of the rest.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.parts import scale_cores, scale_default, scale_million, scale_tree
from benchmarks.parts.figures import Figure, save, show

PARTS = ("cores", "tree", "million")


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=(*PARTS, "default"), action="append", help="leave the other parts out")
    parser.add_argument("--series", type=int, default=4_000, help="of the comparison with one core")
    parser.add_argument("--chunk", type=int, default=100, help="series in a chunk of that comparison")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--leaves", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--many", type=int, default=20_000, help="series from which a million is reckoned")
    parser.add_argument("--data", type=Path, default=os.environ.get("GAUGEBOOK_DATA") or Path("../shared/data"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    figures: list[Figure] = []
    if "cores" in parts:
        words = {"repeats": arguments.repeats, "workers": arguments.workers, "chunk": arguments.chunk}
        figures += scale_cores.measure(series=arguments.series, **words)
    if "tree" in parts:
        figures += scale_tree.measure(leaves=arguments.leaves, steps=arguments.steps)
    if "million" in parts:
        figures += scale_million.measure(series=arguments.many, workers=arguments.workers, chunk=500)
    if "default" in parts:
        scale_default.show(Path(arguments.data))
    if figures:
        show(figures)
    if arguments.json:
        save(figures, arguments.json)


if __name__ == "__main__":
    main()
