"""`gaugebook collect`: samples of running systems."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from collectors.rabbitmq.collect import collect_once, collect_rabbitmq
from collectors.runner import until_signalled
from pipelines.cli.common import console
from pipelines.cli.otlp import otlp
from store.errors import Unreachable
from store.migrate import migrate
from store.settings import load

log = logging.getLogger(__name__)

app = typer.Typer(no_args_is_help=True, help="Collect from running systems until stopped.")
app.command()(otlp)


@app.command()
def rabbitmq(
    *,
    url: Annotated[str | None, typer.Option(help="Management address, http://user:password@host:15672.")] = None,
    interval: Annotated[float | None, typer.Option(help="Seconds between two samples.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Take one sample and end.")] = False,
) -> None:
    """Sample a RabbitMQ broker into the store and onto /metrics until Ctrl-C or SIGTERM.

    A broker or a database that is away is waited for; rows wait in the spool. The user needs the tag `monitoring`.

    Example: `gaugebook collect rabbitmq --url http://guest:guest@127.0.0.1:15672 --interval 15`
    """
    given = {"rabbitmq_url": url, "rabbitmq_interval_s": interval}
    settings = load(**{name: value for name, value in given.items() if value is not None})
    if once:
        migrate(settings)
        console.print(f"sampled {collect_once(settings)} queues", highlight=False)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log every request
    try:
        migrate(settings)
    except Unreachable as error:
        log.warning("%s Rows wait in the spool until it answers.", error)
    with until_signalled() as stop:
        collect_rabbitmq(settings, stop)
