"""`gaugebook lab`: JupyterLab on the notebooks."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import console, errors
from pipelines.cli.demo import step
from pipelines.notebooks import folder
from store.connect import conninfo
from store.errors import InputError
from store.migrate import migrate
from store.settings import CONFIG_VARIABLE, PREFIX, Settings, config_file, load

TEMPLATES = Path(__file__).parents[1] / "templates/jupyter"


def lab(
    *,
    sample: Annotated[
        bool | None,
        typer.Option(
            "--yes/--no-sample",
            "-y",
            help="Where the store is empty: open on sample data, or do not. Default: ask.",
            show_default=False,
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[int, typer.Option(help="Port on the loopback interface.", min=1024, max=65535)] = 8888,
    notebooks: Annotated[
        Path | None, typer.Option(help="Folder of the notebooks. Default: ours.", exists=True, file_okay=False)
    ] = None,
) -> None:
    """Open the notebooks in JupyterLab, on loopback, with the store ready and `00_start_here` in front.

    Where the store has no data it offers sample data: two months of simulated rows in a database of their own,
    `gaugebook_demo` on the embedded server. Your own store is migrated, and no row is ever written to it.

    Example: `gaugebook lab`, or `gaugebook lab --yes --no-browser --port 8899`
    """
    if find_spec("jupyterlab") is None:
        raise InputError("JupyterLab is not installed; pip install 'gaugebook[lab]'")
    settings = load()
    migrate(settings)
    variables = dict(os.environ)
    if config_file().is_file():  # the kernels work in another folder
        variables[CONFIG_VARIABLE] = str(config_file().resolve())
    if _empty(settings) and _wanted(sample):
        sampled = conninfo(_sampled(settings))
        variables |= {f"{PREFIX}DSN": sampled, f"{PREFIX}DSN_READ": sampled}
    where = (notebooks or folder()).resolve()
    console.print(f"notebooks: {where}", soft_wrap=True)
    os.execve(sys.executable, _command(where, browser, port), _configured(variables))  # noqa: S606  # a program of ours


def _command(notebooks: Path, browser: bool, port: int) -> list[str]:  # noqa: FBT001  # as typer has it
    options = {
        "ServerApp.root_dir": str(notebooks),
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.open_browser": str(browser),
        "ServerApp.allow_root": str(os.geteuid() == 0),  # on loopback, behind a token
        "LabApp.extra_labextensions_path": str(TEMPLATES / "labextensions"),
    }
    return [sys.executable, "-m", "jupyter", "lab", *(f"--{key}={value}" for key, value in options.items())]


def _configured(variables: dict[str, str]) -> dict[str, str]:
    """The variables with ours below the settings of the user: a `.py` file opens as a notebook, no news is fetched."""
    known = variables.get("JUPYTER_CONFIG_PATH")
    return {**variables, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, [known, str(TEMPLATES)]))}


def _empty(settings: Settings) -> bool:
    from store.read import read  # takes half a second

    return bool(read(settings, "data_spans")["first"].is_null().all())


def _wanted(sample: bool | None) -> bool:  # noqa: FBT001  # as typer has it
    if sample is not None:
        return sample
    if not _attended():
        errors.print("The store is empty; `gaugebook lab --yes` opens on sample data.", soft_wrap=True)
        return False
    return typer.confirm("The store is empty. Look at sample data, in a database of their own?", default=True, err=True)


def _attended() -> bool:
    """Whether somebody sits there who could answer."""
    return sys.stdin.isatty() and errors.is_terminal


def _sampled(settings: Settings) -> Settings:
    """The settings of the database with sample data, which is built where it is not there yet."""
    from pipelines.demo import sample, sampled

    there = sampled(settings)
    return sample(settings, step) if _empty(there) else there
