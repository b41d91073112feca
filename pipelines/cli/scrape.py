"""`gaugebook collect llm-gateway`: usage that vLLM, LiteLLM and Bifrost count themselves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from collectors.gateways.collect import collect_gateways
from collectors.runner import until_signalled
from pipelines.cli.keyfile import secret_in
from store.errors import Unreachable
from store.migrate import migrate
from store.settings import load

log = logging.getLogger(__name__)


def llm_gateway(
    *,
    url: Annotated[list[str], typer.Option(help="Address of its /metrics, as http://host:8000; again for another.")],
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two pages.")] = 60.0,
    kind: Annotated[str | None, typer.Option(help="vllm, litellm or bifrost; default: by what the page shows.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token that /metrics wants.")] = None,
) -> None:
    """Scrape /metrics of vLLM, LiteLLM or Bifrost into usage rows and onto /metrics until Ctrl-C or SIGTERM.

    A gateway that goes away is waited for. Name each replica, never a load balancer in front of several.

    Example: `gaugebook collect llm-gateway --url http://127.0.0.1:8000 --interval 60`
    """
    settings = load()
    token = None if token_file is None else secret_in(token_file, "the bearer token")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log every request
    try:
        migrate(settings)
    except Unreachable as error:
        log.warning("%s Rows wait in the spool until it answers.", error)
    with until_signalled() as stop:
        collect_gateways(settings, url, stop, interval_s=interval, kind=kind, token=token)
