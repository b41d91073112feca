"""`gaugebook verdict`: what people say of findings, which `gaugebook anomalies` and the reports then heed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from pipelines.cli.analysis import plain
from pipelines.cli.common import console
from store.errors import ParameterInvalid
from store.settings import load

app = typer.Typer(
    help="Say that a stretch is to be silent, that a finding was none, or that it was one. What was said is heeded by "
    "`gaugebook anomalies` and by what is written back.",
    no_args_is_help=True,
)

Target = Annotated[str, typer.Argument(help='What is watched, as findings are saved under: "hourly cost_usd".')]
Series = Annotated[str, typer.Argument(help="The series, as `gaugebook anomalies` shows it.")]
At = Annotated[str, typer.Argument(help="A moment of the finding, an ISO time: 2026-10-01T12:00Z.")]
Reason = Annotated[str, typer.Option(help="For those who ask later.")]


@app.command()
def mute(
    target: Target,
    *,
    since: Annotated[str, typer.Option(help="Start, an ISO time: 2026-10-01T00:00Z.")],
    until: Annotated[str, typer.Option(help="End, not included.")],
    series: Annotated[str | None, typer.Option(help="One series. Default: every one of the target.")] = None,
    reason: Reason = "",
) -> None:
    """Say nothing of a stretch: a load test, a known outage, a holiday.

    Example: `gaugebook verdict mute "hourly cost_usd" --since 2026-10-01T00:00Z --until 2026-10-02T00:00Z`
    """
    from analytics import mutes

    span = _moment("since", since), _moment("until", until)
    _said(mutes.mute(load(), target, *span, unique_id=series, reason=reason), target)


@app.command()
def none(target: Target, series: Series, at: At, *, reason: Reason = "") -> None:
    """Say that a saved finding was none: its series is from now on flagged only above that score.

    Example: `gaugebook verdict none "hourly cost_usd" search 2026-10-01T12:00Z`
    """
    _judge(target, series, at, right=False, reason=reason)


@app.command()
def right(target: Target, series: Series, at: At, *, reason: Reason = "") -> None:
    """Say that a saved finding was one: weaker ones cannot silence it.

    Example: `gaugebook verdict right "hourly cost_usd" search 2026-10-01T12:00Z`
    """
    _judge(target, series, at, right=True, reason=reason)


@app.command("list")
def show(target: Target) -> None:
    """What was said of a target and still counts.

    Example: `gaugebook verdict list "hourly cost_usd"`
    """
    from analytics import mutes, words

    said = mutes.verdicts(load(), target)
    if said.is_empty():
        console.print(f"nothing was said of {target!r}", markup=False, highlight=False)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("number", "verdict", "series", "from", "until", "by", "reason"):
        table.add_column(name, justify="right" if name == "number" else "left")
    for row in said.iter_rows(named=True):
        series = "all" if row["unique_id"] is None else plain(row["unique_id"])
        span = [words.moment(row[name]).removesuffix(" UTC") for name in ("since", "until")]
        verdict = {"mute": "muted", "false": "none", "true": "right"}[row["verdict"]]
        table.add_row(str(row["verdict_id"]), verdict, series, *span, plain(row["made_by"]), plain(row["reason"]))
    console.print(table)


@app.command()
def remove(number: Annotated[int, typer.Argument(help="The number that `gaugebook verdict list` shows.")]) -> None:
    """Take back what was said; it stays on record.

    Example: `gaugebook verdict remove 3`
    """
    from analytics import mutes

    mutes.remove(load(), number)
    console.print(f"verdict {number} is taken back")


def _judge(target: str, series: str, at: str, *, right: bool, reason: str) -> None:
    from analytics import mutes

    _said(mutes.judge(load(), target, series, _moment("at", at), right=right, reason=reason), target)


def _said(number: int, target: str) -> None:
    line = f"verdict {number} on {target}; `gaugebook verdict remove {number}` takes it back"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _moment(name: str, text: str) -> datetime:
    from analytics.spans import moment

    found = moment(text, datetime.now(UTC), name)
    if found is None:
        raise ParameterInvalid(name, "expected an ISO time such as 2026-10-01T12:00Z, got nothing")
    return found
