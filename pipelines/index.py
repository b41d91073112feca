"""The index of a folder of reports, made from the ledger: the last runs of each page, and which pages are stale."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import groupby
from pathlib import Path

from pipelines import ledger
from pipelines.execute import RUN_LIMIT_S
from pipelines.keep import forget
from pipelines.ledger import Run
from pipelines.lock import wait_for_turn
from pipelines.numbers import CALLED
from pipelines.pages import files, head, replace, usable, write_assets
from pipelines.parameters import Value
from pipelines.prints import PDF
from pipelines.render import environment
from pipelines.schedule import stale_after
from store.connect import connect
from store.settings import Settings

GRACE = timedelta(hours=1)  # a slot that has been due for longer and is not made makes its page stale


def write_index(settings: Settings, folder: Path) -> Path:
    """Write `index.html` of a folder of reports, and take away what the settings do not keep."""
    folder = usable(folder)
    index = folder / "index.html"
    with connect(settings) as connection:  # whoever writes last has read last
        wait_for_turn(connection, index)
        forget(settings, folder)
        page = index_page(settings, folder)
        write_assets(folder / "assets")
        replace(index, page.encode())
    return index


def index_page(settings: Settings, folder: Path) -> str:
    """The index of a folder of reports as the ledger knows them: the last runs of each page, newest first.

    A run by hand that has said nothing for longer than a run may take is shown as interrupted; of those on a schedule
    the next tick finds out. A page whose next slot has been due for an hour is stale; the page of the index finds that
    out by itself, whether anything ticks or not.
    """
    crons = ledger.crons(settings)
    by_page = groupby(ledger.runs(settings, folder), key=lambda run: run.output)
    now = datetime.now(UTC)
    cards = [_card(Path(page), list(runs), crons, now) for page, runs in by_page]
    return environment().get_template("index.html.j2").render(cards=cards, now=now)


def facts(parameters: Mapping[str, Value]) -> list[tuple[str, str]]:
    """The parameters of a run for people; those that are not set are left out."""
    said = {name: value for name, value in parameters.items() if value is not None and value != ""}
    words = {True: "yes", False: "no"}
    return [
        (name.replace("_", " "), words[value] if isinstance(value, bool) else str(value))
        for name, value in said.items()
    ]


def _card(page: Path, runs: Sequence[Run], crons: Mapping[str, str], now: datetime) -> dict[str, object]:
    start = head(page)
    title, summary = (re.search(tag, start) for tag in (r"<title>(.*?)</title>", r'name="description" content="(.*?)"'))
    good = max((run for run in runs if run.outcome == "ok"), key=lambda run: (run.slot, run.started_at), default=None)
    job = next((run.job for run in runs if run.job), None)
    cron = crons.get(job) if job else None
    stale = stale_after(cron, (good or runs[-1]).slot) if cron else None
    return {
        "report": page.stem,
        "title": unescape(title[1]) if title else page.stem,
        "summary": unescape(summary[1]) if summary else "",
        "page": page.name if start else None,
        "good": str(good.run_id) if good else "",
        "pdf": _pdf(page.parent, good) if good else None,
        "numbers": _numbers(page.parent, good) if good else [],
        "undelivered": [_undelivered(one) for one in good.deliveries if one.get("outcome") == "failed"] if good else [],
        "good_at": good.started_at if good else None,
        "cron": cron,
        "stale_after": stale,
        "stale": stale is not None and stale < now,
        "runs": [_line(page.parent, run) for run in runs],
        "facts": facts(runs[0].parameters),
    }


def _pdf(folder: Path, run: Run) -> str | None:
    path = f"{files(run)}/{PDF}"
    return path if (folder / path).is_file() else None


def _numbers(folder: Path, run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """The files of numbers of a run: what they hold, and each by its kind and path."""
    there = folder / files(run)
    order = sorted(there.glob("*.csv"), key=lambda path: (path.stem.split("-")[0], int(path.stem.split("-")[1])))
    return [
        (path.stem.replace("-", " "), [
            (called, f"{files(run)}/{path.stem}.{ending}")
            for ending, called in CALLED.items() if (there / f"{path.stem}.{ending}").is_file()
        ])
        for path in order
    ]  # fmt: skip


def _undelivered(delivery: Mapping[str, object]) -> str:
    return f"{delivery.get('where')}: {delivery.get('error')}"


def _line(folder: Path, run: Run) -> dict[str, object]:
    lost = run.job is None and datetime.now(UTC) - run.started_at > timedelta(seconds=2 * RUN_LIMIT_S)
    return {
        "started_at": run.started_at,
        "slot": run.slot if run.job else None,
        "attempt": run.attempt,
        "retry_at": run.retry_at,
        "outcome": "interrupted" if lost and run.outcome == "running" else run.outcome,
        "seconds": run.seconds,
        "peak_mb": run.peak_mb,
        "error": run.error,
        "notebook": run.notebook if (folder / run.notebook).is_file() else None,
        "page": run.page if (folder / run.page).is_file() else None,
        "pdf": _pdf(folder, run),
    }
