"""`gaugebook collect otlp`: what other programs tell of their model calls."""

from __future__ import annotations

import gc
import logging
from typing import Annotated

import typer

from collectors.runner import until_signalled
from store.errors import GaugebookError, Unreachable
from store.migrate import migrate
from store.settings import load

log = logging.getLogger(__name__)


def otlp(
    *,
    address: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0: all of this machine.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.")] = None,
) -> None:
    """Receive OTLP over HTTP into the store until Ctrl-C or SIGTERM.

    Takes traces, metrics and logs in protobuf and JSON. Model calls become rows; the rest is dropped. Prompts and
    answers are never kept. A database that is away is waited for; rows wait in the spool.

    Example: `gaugebook collect otlp --port 4318`
    """
    try:
        from collectors.otlp.collect import collect_otlp
    except ModuleNotFoundError as error:
        raise GaugebookError(f"this needs the package {error.name}; pip install 'gaugebook[otlp]'") from None
    given = {"otlp_address": address, "otlp_port": port}
    settings = load(**{name: value for name, value in given.items() if value is not None})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        migrate(settings)
    except Unreachable as error:
        log.warning("%s Rows wait in the spool until it answers.", error)
    # What is loaded by now stays, and a span makes many objects: do not look through all of them for garbage so often.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    with until_signalled() as stop:
        collect_otlp(settings, stop)
