"""Reports executed in this process: what papermill makes of them, without the seconds that a kernel takes to start."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import plotly.io
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from analytics.jupyter.frames import register
from pipelines.notebooks import cells, find
from pipelines.pages import replace, write_assets
from pipelines.render import Heading, render
from store.settings import Settings


@contextmanager
def shell_of(settings: Settings) -> Iterator[InteractiveShell]:
    """An IPython shell whose notebooks find this store and draw as a kernel does."""
    main = sys.modules["__main__"]  # the shell puts one of its own in place
    with pytest.MonkeyPatch.context() as patch:
        assert settings.dsn is not None
        patch.setenv("GAUGEBOOK_DSN", settings.dsn.get_secret_value())
        patch.setattr(plotly.io.renderers, "default", "plotly_mimetype")
        shell = InteractiveShell.instance()
        register(shell)
        yield shell
    InteractiveShell.clear_instance()
    sys.modules["__main__"] = main


def execute(settings: Settings, report: str, folder: Path, **parameters: Any) -> Path:
    """Run the cells of a report one after the other and write them with what they showed."""
    made = []
    with shell_of(settings) as shell:
        for cell in cells(find(report).read_text(encoding="utf-8")):
            if cell.kind != "code":
                lines = cell.text.strip().splitlines()
                text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)
                made.append(nbformat.v4.new_markdown_cell(text))
                continue
            with capture_output() as captured:
                shell.run_cell(cell.text).raise_error()
            if "parameters" in cell.tags:
                assert parameters.keys() <= shell.user_ns.keys()
                shell.user_ns.update(parameters)
            shown = [nbformat.v4.new_output("display_data", data=one.data) for one in captured.outputs]
            made.append(nbformat.v4.new_code_cell(cell.text, outputs=shown))
    output = folder / f"{report}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made), output)
    return output


def page_of(notebook: Path, **facts: Mapping[str, str]) -> Path:
    """The page of an executed notebook, beside it, with the numbers of its tables and charts in a folder of its name."""
    now = datetime(2026, 3, 15, 12, tzinfo=UTC)
    heading = Heading(notebook.stem, "", now, 1.0, tuple(facts.items()), files=notebook.stem)
    write_assets(notebook.parent / "assets")
    made = render(notebook, heading)
    notebook.with_suffix("").mkdir(exist_ok=True)
    for name, content in made.files.items():
        replace(notebook.with_suffix("") / name, content)
    page = notebook.with_suffix(".html")
    replace(page, made.html.encode())
    return page


def told(notebook: Path) -> list[str]:
    """What an executed notebook says in words and tables, output by output."""
    outputs = [output for cell in nbformat.read(notebook, as_version=4).cells for output in cell.get("outputs", [])]
    texts = (output.data.get("text/markdown") or output.data.get("text/html") for output in outputs)
    return [text for text in texts if text]
