"""`gaugebook lab`: JupyterLab on the notebooks."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import console
from pipelines.notebooks import folder
from store.errors import InputError
from store.migrate import migrate
from store.settings import load

SETTINGS = Path(__file__).parents[1] / "templates/jupyter"


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
    console.print(f"notebooks: {folder()} (a .py file: Open With, Jupytext Notebook)", soft_wrap=True)
    options = {
        "ServerApp.root_dir": str(folder()),
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.open_browser": str(browser),
        "ServerApp.allow_root": str(os.geteuid() == 0),  # on loopback, behind a token
        "LabApp.default_url": "/lab/tree/00_start_here.py",
    }
    command = [sys.executable, "-m", "jupyter", "lab", *(f"--{key}={value}" for key, value in options.items())]
    # Below the settings of the user: a `.py` file opens as a notebook, and no news is fetched.
    known = os.environ.get("JUPYTER_CONFIG_PATH")
    variables = {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [known, str(SETTINGS)]))}
    os.execve(sys.executable, command, variables)  # noqa: S606  # a program of ours
