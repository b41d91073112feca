"""`gaugebook lab`: JupyterLab on the notebooks."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from pipelines.cli.common import console
from pipelines.notebooks import folder
from store.errors import InputError
from store.migrate import migrate
from store.settings import load


def lab(
    *,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int, typer.Option(help="Port on the loopback interface.", min=1024, max=65535)] = 8888,
) -> None:
    """Open the notebooks in JupyterLab, on loopback, with the store ready.

    Example: `GAUGEBOOK_DATABASE=gaugebook_demo gaugebook lab`
    """
    if find_spec("jupyterlab") is None:
        raise InputError("JupyterLab is not installed; pip install 'gaugebook[lab]'")
    migrate(load())
    console.print(f"notebooks: {folder()} (right-click a .py file: Open With, Notebook)")
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder()}", f"--port={port}"]
    os.execv(sys.executable, [*command, "--ip=127.0.0.1", *([] if browser else ["--no-browser"])])  # noqa: S606  # a program of ours
