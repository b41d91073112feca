"""`gaugebook serve` and `gaugebook key`: rows over HTTP, and who may send them."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from collectors.runner import until_signalled
from pipelines.cli.common import console
from store.errors import PackageMissing, Unreachable
from store.migrate import migrate
from store.settings import load

if TYPE_CHECKING:
    from collectors.service.keys import Keys

log = logging.getLogger(__name__)

keys = typer.Typer(no_args_is_help=True, help="Who may send rows to `gaugebook serve`.")


def serve(
    *,
    address: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0: all of this machine.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.")] = None,
) -> None:
    """Take rows over HTTP into the store until Ctrl-C or SIGTERM.

    What it has accepted is on disk. A database that is away is waited for; rows wait in the spool. Its OpenAPI
    document is at /openapi.json. It speaks plain HTTP unless the setting `service_cert` names a certificate, which it
    needs beyond this machine.

    Example: `gaugebook key add shop --scope ingest:llm --team shop` and `gaugebook serve`
    """
    try:
        from collectors.service.serve import serve as serve_until
    except ModuleNotFoundError as error:
        raise PackageMissing("`gaugebook serve`", error.name or "", "service") from None
    given = {"service_address": address, "service_port": port}
    settings = load(**{name: value for name, value in given.items() if value is not None})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        migrate(settings)
    except Unreachable as error:
        log.warning("%s Rows wait in the spool until it answers.", error)
    # What is loaded by now stays: do not look through all of it for garbage.
    gc.freeze()
    with until_signalled() as stop:
        serve_until(settings, stop)


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="What the key is called, as the program that gets it.")],
    *,
    scope: Annotated[
        list[str], typer.Option(help="What it opens: ingest:llm, ingest:rabbitmq, read or admin. Again: more.")
    ],
    team: Annotated[
        list[str] | None, typer.Option(help="It may send rows of this team alone. Again: more. None: of every team.")
    ] = None,
) -> None:
    """Make a key and show it, this once: what is kept is its hash.

    Example: `gaugebook key add shop --scope ingest:llm --team shop`
    """
    token = _keys().add(name, scope, team or ())
    typer.echo(token)


@keys.command("list")
def list_() -> None:
    """The keys: their names, what they open and since when, not the keys themselves.

    Example: `gaugebook key list`
    """
    table = Table("name", "scopes", "teams", "since")
    for key in _keys().all():
        table.add_row(key.name, ", ".join(key.scopes), ", ".join(key.teams) or "all", key.created_at)
    console.print(table if table.row_count else "No key yet: `gaugebook key add NAME --scope ingest:llm` makes one.")


@keys.command()
def remove(name: Annotated[str, typer.Argument(help="The name that `gaugebook key list` shows.")]) -> None:
    """Take a key away; the service refuses it from the next request on.

    Example: `gaugebook key remove shop`
    """
    _keys().remove(name)


def _keys() -> Keys:
    try:
        from collectors.service.keys import Keys, file_of
    except ModuleNotFoundError as error:
        raise PackageMissing("`gaugebook key`", error.name or "", "service") from None
    return Keys(file_of(load()))
