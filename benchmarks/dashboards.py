"""How long the panels of the dashboards wait for the store.

    python benchmarks/dashboards.py [--rows 5000000] [--repeats 5] [--json FILE]

Every query in SQL of every dashboard, over the time that its dashboard shows when it is opened, all teams and models
chosen, as a member of the role of Grafana and over a connection of its own. The requests are those of
benchmarks/parts/requests.sql. Beside each stands the same way there and back for nothing. Plain PostgreSQL on an
embedded server of its own; TimescaleDB where GAUGEBOOK_TEST_TIMESCALE_DSN names a server.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find benchmarks/store.py

from benchmarks.parts.figures import Figure, back_ends, save, show
from benchmarks.parts.requests import DAYS, SINCE, fill
from pipelines.dashboards import lint
from pipelines.dashboards.ask import Asker, shown_by
from pipelines.dashboards.build import load
from store.connect import connect
from store.roles import ensure, grant, group
from store.rollup import refresh
from store.settings import Settings

BOARDS = Path(__file__).parents[1] / "deploy/grafana/dashboards"
REACH_MS = 300.0
SHOWN = 5  # of the slowest panels
NOTHING = {"refId": "A", "rawSql": "SELECT 1", "format": "table"}


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000, help="requests in the thirty days")
    parser.add_argument("--repeats", type=int, default=5, help="times that each query is asked")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with back_ends() as found:
        for name, settings in found.items():
            made(settings, arguments.rows)
            figures += measured(settings, name, arguments.repeats)
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def made(settings: Settings, rows: int) -> None:
    """A store with so many requests, rolled up, that Grafana may read."""
    with connect(settings, autocommit=True) as connection:
        fill(connection, rows)
    refresh(settings)
    ensure(settings)
    grant(settings, group("grafana"), ["*"])
    with connect(settings, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    print(f"made {rows:,} requests", file=sys.stderr)


def measured(settings: Settings, name: str, repeats: int) -> list[Figure]:
    """The slowest panels, and how many are slower than they may be."""
    asker, until = Asker(store=settings), SINCE + timedelta(days=DAYS)
    nothing = statistics.median(
        asker.answer(NOTHING, {}, shown_by(load(BOARDS)[0], {}, until)).took_ms for _ in range(repeats)
    )
    took = sorted(panels(asker, until, repeats), reverse=True)
    slow = sum(ms > REACH_MS for ms, _ in took)
    return [
        *(
            Figure(f"{name}: {panel}", "ms", ms, {"nothing": nothing}, REACH_MS, ms, REACH_MS, at_most=True)
            for ms, panel in took[:SHOWN]
        ),
        Figure(f"{name}: of {len(took)} queries, slower", "", slow, {}, 0, slow, 0, at_most=True),
    ]


def panels(asker: Asker, until: datetime, repeats: int) -> Iterator[tuple[float, str]]:
    """Each query of a panel in SQL: the median of the milliseconds it takes, and whose it is."""
    for board in load(BOARDS):
        values = asker.chosen(board, shown_by(board, {}, until))
        for panel in lint.panels(board):
            for target in panel["targets"]:
                if "rawSql" in target:
                    yield _median(asker, target, values, shown_by(board, panel, until), repeats), _name(board, panel)


def _median(asker: Asker, target: Any, values: Any, shown: Any, repeats: int) -> float:
    answers = [asker.answer(target, values, shown) for _ in range(repeats)]
    if answers[0].error:
        raise SystemExit(f"{target['rawSql']}\n{answers[0].error}")
    return statistics.median(answer.took_ms for answer in answers)


def _name(board: Any, panel: Any) -> str:
    return f"{board['title']}, {panel['title']}"


if __name__ == "__main__":
    main()
