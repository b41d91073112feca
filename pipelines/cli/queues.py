"""`gaugebook queues`: how much of their capacity queues use, how deep they will be, and how far the alarms are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipelines.cli.analysis import Grain, GrainOption, Output, Since, Until, check_output, write_file
from pipelines.cli.common import console, progress
from store.errors import NoRows
from store.settings import load

if TYPE_CHECKING:
    from analytics import Capacity

MOST = 30  # queues that are shown


def queues(
    *,
    horizon: Annotated[int, typer.Option(min=0, max=10_000, help="Steps to simulate.")] = 24,
    target_age: Annotated[float, typer.Option(metavar="SECONDS", help="How long a message may wait.")] = 60.0,
    max_length: Annotated[
        float | None,
        typer.Option(metavar="MESSAGES", help="What every queue may hold, where its own limit is not known."),
    ] = None,
    grain: GrainOption = Grain.hourly,
    since: Since = "",
    until: Until = "",
    output: Output = None,
) -> None:
    """Arrivals against capacity of every queue: utilisation, waiting time, backlog to come, consumers needed.

    Example: `gaugebook queues --horizon 48 --target-age 30`
    """
    check_output(output)
    from analytics import load as loads
    from analytics import queues as analyses

    settings = load()
    with progress() as bar:
        bar.add_task("simulating", total=None)
        rows = loads.queue_metrics(settings, grain=grain.value, since=since, until=until)
        if not len(rows):
            raise NoRows("rabbitmq_queues")
        made = analyses.capacity(rows, horizon, target_age_s=target_age, max_length=max_length)
        nodes = loads.node_samples(settings, until=until)
    _show(made)
    if len(nodes):
        console.print(analyses.alarms(nodes).sentence(), markup=False, highlight=False)
    write_file(made.table, Path(output) if output else None)


def _show(made: Capacity) -> None:
    from analytics.render import cell

    console.print(made.sentence(), markup=False, highlight=False)
    names = {
        "messages": "messages", "arriving_per_s": "in/s", "served_per_s": "out/s", "capacity_per_s": "capacity/s",
        "utilisation": "used", "age_s": "waits", "drain_s": "empty in", "full_s": "full in",
        "peak_messages": "peak", "consumers": "consumers", "consumers_needed": "needed",
    }  # fmt: skip
    table = Table(box=None, pad_edge=False)
    table.add_column("queue", no_wrap=True, max_width=28)
    for title in names.values():
        table.add_column(title, justify="right", no_wrap=True)
    for row in made.table.head(MOST).iter_rows(named=True):
        shown = [cell(name, row[name]) for name in names]
        if not row["capacity_seen"]:
            shown[3] = f">= {shown[3]}"
        table.add_row(Text(row["queue"]), *shown)
    console.print(table)
    if len(made.table) > MOST:
        console.print(f"and {len(made.table) - MOST:,} more; --output writes them all")
