"""`gaugebook doctor`: what is up, what is missing, what to do; once, or again and again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.cli.common import console
from pipelines.doctor import Finding, examine
from store.errors import ParameterInvalid
from store.settings import Settings, load

if TYPE_CHECKING:
    from pipelines.watch import Change, Watch

MARKS = {"ok": "[green]✓[/]", "absent": "[yellow]-[/]", "broken": "[red]✗[/]"}
COLOURS = {"ok": "green", "absent": "yellow", "broken": "red"}
EVERY = "5s"


def doctor(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="go on looking, and say what changes, until Ctrl-C")] = False,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="with --watch: time from one look to the next, such as 5s or 1m")
    ] = EVERY,
) -> None:
    """Look at everything Gaugebook needs and say what is up, what is missing and what to do.

    It changes nothing: no server is started, no schema migrated. Exit code 1 if something is broken.

    With --watch it looks again and again, also at what is live: how new rows are, rollups, the schedule, spools, the
    pages of our programs, Prometheus, Alertmanager, alerts that fire. Each change is a line with its time (UTC). Where
    the output is no terminal there is nothing but these lines. It ends by Ctrl-C, with exit code 0.

    Example: `gaugebook doctor`

    Example: `gaugebook doctor --watch --every 5s`
    """
    if watch:
        _watch(load(), _seconds(every))
        return
    if every != EVERY:
        raise ParameterInvalid("every", "goes with --watch")
    findings = examine(load())
    console.print(_table(findings))
    if any(finding.state == "broken" for finding in findings):
        raise SystemExit(1)


def _table(findings: Iterable[Finding], changed: Iterable[str] = ()) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1))
    for finding in findings:
        what = Text(finding.what, style="bold reverse" if finding.what in changed else "")
        table.add_row(MARKS[finding.state], what, Text(finding.found), Text(finding.advice, style="dim"))
    return table


def _seconds(every: str) -> float:
    from analytics.prom.times import duration_ms

    found = duration_ms(every)
    if not found or found < 1000:
        raise ParameterInvalid("every", f"must be a duration of a second or more such as 5s or 1m, not {every!r}")
    return found / 1000


def _watch(settings: Settings, every_s: float) -> None:
    from pipelines.looks import looks
    from pipelines.watch import LIMIT_S, Watch

    watched = Watch(looks(settings), limit_s=min(LIMIT_S, every_s))
    try:
        if console.is_terminal:
            _on_screen(watched, every_s)
        else:
            _in_lines(watched, every_s)
    except KeyboardInterrupt:
        return


def _on_screen(watched: Watch, every_s: float) -> None:
    # Not on the alternate screen: what has changed stays to be read when the watch is over.
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        first = True
        while True:
            began = time.monotonic()
            findings, changes = watched.round()
            for change in () if first else changes:
                live.console.print(Text(str(change), style=COLOURS[change.after]), soft_wrap=True)
            findings.sort(key=lambda finding: finding.state != "broken")  # a small screen shows what matters
            table = _table(findings, () if first else {change.what for change in changes})
            broken = sum(finding.state == "broken" for finding in findings)
            table.title = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, every {every_s:g} s: " + (
                f"{broken} broken" if broken else "nothing is broken"
            )
            live.update(table, refresh=True)
            first = False
            _pause(began, every_s)


def _in_lines(watched: Watch, every_s: float) -> None:
    while True:
        began = time.monotonic()
        for change in watched.round()[1]:
            _say(change)
        _pause(began, every_s)


def _say(change: Change) -> None:
    print(change, flush=True)  # one line, whatever the width: it is for a log, or for another program


def _pause(began: float, every_s: float) -> None:
    time.sleep(max(0.0, began + every_s - time.monotonic()))
