"""`gaugebook import prometheus`: what Prometheus has of queues, into the store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import conclude, progress
from store.errors import ParameterInvalid
from store.settings import load

if TYPE_CHECKING:
    from pipelines.queue_history import Copied


def prometheus(
    *,
    url: Annotated[str, typer.Option(help="Address of the Prometheus.")] = "http://127.0.0.1:9090",
    match: Annotated[
        list[str] | None,
        typer.Option(help='Series to copy, as {job="rabbitmq"}; again for more. Default: all of queues.'),
    ] = None,
    since: Annotated[str, typer.Option(help="From when on: an age as 30d, or a time as 2026-11-01T00:00Z.")] = "30d",
    until: Annotated[str | None, typer.Option(help="Up to when, likewise; default: now.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Name of the cluster where the series have none.")] = None,
    user: Annotated[str | None, typer.Option(help="User for basic auth.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the user's password.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token.")] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of the authorities to trust.")] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file of a client certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; again for more.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read everything, write nothing.")] = False,
) -> None:
    """Copy the history of queues from Prometheus into the store: 30 days there become years in SQL.

    It knows the metrics of `gaugebook collect rabbitmq`, of RabbitMQ's own plugin (per object or detailed) and of
    kbudde/rabbitmq_exporter. Run it again after an interruption: it goes on where it was, and nothing is doubled.

    Example: `gaugebook import prometheus --url http://prometheus:9090 --match '{job="rabbitmq"}' --since 30d`
    """
    from analytics.prom import Server
    from pipelines.queue_history import copy_history

    headers = {}
    for each in header or []:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise ParameterInvalid("header", "expected NAME=VALUE")
        headers[name.strip()] = value.strip()
    server = Server(
        url,
        user=user,
        password=password_file,
        token=token_file,
        ca=ca,
        certificate=cert,
        key=key,
        headers=headers,
    )
    now = datetime.now(UTC)
    begin, end = _moment(since, now, "since"), now if until is None else _moment(until, now, "until")
    if begin >= end:
        raise ParameterInvalid("since", f"{begin:%Y-%m-%d %H:%M} UTC is not before {end:%Y-%m-%d %H:%M} UTC")
    with progress() as bar:
        task = bar.add_task("copying queues", total=int((end - begin).total_seconds()))

        def show(reached: datetime, so_far: Copied) -> None:
            done = int((reached - begin).total_seconds())
            bar.update(task, completed=done, description=f"{reached:%Y-%m-%d %H:%M}, {so_far.rows:,} rows")

        copied = copy_history(
            load(), server, begin, end, match=match or (), cluster=cluster, dry_run=dry_run, progress=show
        )
    _conclude(copied, dry_run=dry_run)


def _moment(given: str, now: datetime, name: str) -> datetime:
    from analytics.prom.times import MILLISECOND, duration_ms
    from analytics.spans import moment

    age = duration_ms(given)
    found = moment(given, now, name) if age is None else now - age * MILLISECOND
    if found is None:
        raise ParameterInvalid(name, "expected an age as 30d, or a time as 2026-11-01T00:00Z")
    return found


def _conclude(copied: Copied, *, dry_run: bool) -> None:
    line = f"{copied.samples:,} samples are {copied.rows:,} rows"
    if not dry_run:
        line += f": {copied.written:,} written, {copied.there:,} were there"
        if copied.covered:
            line += f", {copied.covered:,} not needed beside the store's own"
    if copied.rejected:
        line += f", {copied.rejected:,} refused"
    conclude(line, copied.problems)
