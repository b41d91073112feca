"""Which runs of a folder keep their files, and the end of those of the others. The ledger keeps all runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from pipelines import ledger
from pipelines.ledger import Run
from pipelines.pages import files
from store.settings import Settings

EVERY = 10**9  # runs of a page
_FILE = re.compile(r".+-\d{8}T\d{6}Z-[0-9a-f]{8}")


def forget(settings: Settings, folder: Path, *, now: datetime | None = None) -> list[Run]:
    """Delete the files of runs that the settings do not keep; those runs.

    Nothing goes that the ledger does not know, that a page shows, that still runs or is still to be delivered.
    """
    if settings.keep_report_runs is None and settings.keep_report_days is None:
        return []
    history = folder / "history"
    there = {path.name.partition(".")[0] for path in history.glob("*") if _FILE.match(path.name)}
    runs = [
        run for run in ledger.runs(settings, folder, latest=EVERY) if run.page.partition("/")[2][:-5] in there
    ]  # fmt: skip
    gone = superfluous(runs, settings.keep_report_runs, settings.keep_report_days, now=now or datetime.now(UTC))
    for run in gone:
        for name in (run.page, run.notebook):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / files(run), ignore_errors=True)
    return gone


def superfluous(runs: Iterable[Run], most: int | None, days: int | None, *, now: datetime) -> list[Run]:
    """The runs beyond the latest `most` of each page or older than `days`, but for those that are needed."""
    found: list[Run] = []
    for _, of_page in groupby(sorted(runs, key=lambda run: run.output), key=lambda run: run.output):
        newest = sorted(of_page, key=lambda run: run.started_at, reverse=True)
        shown = sorted((run for run in newest if run.outcome == "ok"), key=lambda run: (run.slot, run.started_at))[-1:]
        for nr, run in enumerate(newest):
            beyond = most is not None and nr >= most
            old = days is not None and now - run.started_at > timedelta(days=days)
            waiting = any(one.get("outcome") == "waiting" for one in run.deliveries)
            if (beyond or old) and run not in shown and run.outcome != "running" and not waiting:
                found.append(run)
    return found
