"""The store beside its peers and its limits: writing, spooling, reading, rollups, recovery.

    python benchmarks/store.py [--only write] [--rows 300000] [--repeats 5] [--json FILE]

Every server is one of its own in a temporary folder, with fsync. The TimescaleDB half is measured where
GAUGEBOOK_TEST_TIMESCALE_DSN names a server.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find this very file

from benchmarks.parts.figures import Figure, save, show

PARTS = ("write", "spool", "read", "rollups", "restore")


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the other parts out")
    parser.add_argument("--rows", type=int, default=300_000, help="rows to write")
    parser.add_argument("--large", type=int, default=5_000_000, help="rows to read, to roll up and to restore")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    for part in arguments.only or PARTS:
        figures += import_module(f"benchmarks.parts.{part}").measure(
            rows=arguments.rows, large=arguments.large, repeats=arguments.repeats
        )
        if arguments.json:
            save(figures, arguments.json)
    show(figures)


if __name__ == "__main__":
    main()
