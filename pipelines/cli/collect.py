"""`gaugebook collect`: samples of running systems."""

from __future__ import annotations

import logging
from pathlib import Path
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

WAY, WHO, WHICH = "How the broker is asked", "Who asks", "Which queues"

app = typer.Typer(no_args_is_help=True, help="Collect from running systems until stopped.")
app.command()(otlp)


@app.command()
def rabbitmq(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            help="Management address, http://user:password@host:15672. The Prometheus plugin is found from it.",
            rich_help_panel=WAY,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="native (the Prometheus plugin), management (the API alone) or kbudde (a running rabbitmq_exporter); "
            "default: the cheapest that the broker offers. `gaugebook doctor` says which.",
            rich_help_panel=WAY,
        ),
    ] = None,
    prometheus_url: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of the Prometheus plugin, http://host:15692, where it is not at the management's host; "
            "again for each node of a cluster.",
            rich_help_panel=WAY,
        ),
    ] = None,
    exporter_url: Annotated[
        str | None,
        typer.Option(help="Address of a rabbitmq_exporter, http://host:9419.", rich_help_panel=WAY),
    ] = None,
    interval: Annotated[float | None, typer.Option(help="Seconds between two samples.", rich_help_panel=WAY)] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for one answer.", rich_help_panel=WAY)] = None,
    once: Annotated[bool, typer.Option("--once", help="Take one sample and end.", rich_help_panel=WAY)] = False,
    user: Annotated[str | None, typer.Option(help="User, if it is not in the address.", rich_help_panel=WHO)] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the user's password.", rich_help_panel=WHO)
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with an OAuth 2 token, instead of user and password.", rich_help_panel=WHO)
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="CA (PEM) that has signed the broker's certificate.", rich_help_panel=WHO)
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) to show to the broker.", rich_help_panel=WHO)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Its key, if it is not in the same file.", rich_help_panel=WHO)
    ] = None,
    vhost: Annotated[
        list[str] | None,
        typer.Option(
            help="Look at this vhost alone: a glob, re:REGEX or !EXCEPTION. Again: more.", rich_help_panel=WHICH
        ),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Look at these queues alone: a glob, re:REGEX or !EXCEPTION. Again: more.", rich_help_panel=WHICH
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Look at this type alone: classic, quorum or stream.", rich_help_panel=WHICH),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            help="Queues that get detail and rows of their own: the deepest, the fastest growing, those with "
            "the oldest message. The others are added up by vhost.",
            rich_help_panel=WHICH,
        ),
    ] = None,
    detail: Annotated[
        list[str] | None,
        typer.Option(help="Queues that are always among them: a glob or re:REGEX. Again: more.", rich_help_panel=WHICH),
    ] = None,
) -> None:
    """Sample a RabbitMQ broker into the store and onto /metrics until Ctrl-C or SIGTERM.

    A broker or a database that is away is waited for; rows wait in the spool. The user needs the tag `monitoring`.
    Everything here is a setting too: --top is GAUGEBOOK_RABBITMQ_TOP. A password is best kept out of the command:
    --password-file, or GAUGEBOOK_RABBITMQ_PASSWORD.

    Example: `gaugebook collect rabbitmq --url http://guest:guest@127.0.0.1:15672 --interval 15`

    Example: `gaugebook collect rabbitmq --url https://mq:15671 --user monitor --password-file pw --ca ca.pem`

    Example: `gaugebook collect rabbitmq --vhost 'shop-*' --queue '!amq.gen-*' --top 20 --detail 'orders*'`
    """
    given = {
        "url": url,
        "source": source,
        "prometheus_url": prometheus_url,
        "exporter_url": exporter_url,
        "interval_s": interval,
        "timeout_s": timeout,
        "user": user,
        "password_file": password_file,
        "token_file": token_file,
        "ca": ca,
        "cert": cert,
        "key": key,
        "vhosts": vhost,
        "queues": queue,
        "types": type_,
        "top": top,
        "detail": detail,
    }
    settings = load(**{f"rabbitmq_{name}": value for name, value in given.items() if value not in (None, [])})
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
