"""Run a report's notebook with papermill and keep what it became."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.jupyter import quick_import
from pipelines.parameters import Value
from store.errors import ReportError
from store.settings import PREFIX, Settings

CELL_LIMIT_S = 300.0
RUN_LIMIT_S = 1200.0
OUTPUT_LIMIT_MB = 50.0

Progress = Callable[[str, int, int], None]
"""Called as `progress(report, cells done, cells in all)` from the thread that runs the report."""


@dataclass
class Usage:
    """What a run has used so far, in megabytes of 10^6 bytes: memory of the kernel at its peak, and what it printed."""

    peak_mb: float | None = None
    output_mb: float = 0.0


def execute(
    report: str,
    source: Path,
    values: Mapping[str, Value],
    settings: Settings,
    output: Path,
    *,
    progress: Progress | None = None,
    cell_limit_s: float = CELL_LIMIT_S,
    run_limit_s: float = RUN_LIMIT_S,
    memory_mb: int | None = None,
    output_limit_mb: float = OUTPUT_LIMIT_MB,
    kernels: set[int] | None = None,
    usage: Usage | None = None,
) -> None:
    """Run the notebook `source` with checked `values` and write the executed notebook to `output`.

    The kernel is this interpreter's, in an empty temporary folder; it finds the database by an environment
    made of `settings`. `output` is written as the cells run, so it is there whatever ends the run.

    Args:
        report: the name that errors and `progress` give it.
        source: a `py:percent` notebook.
        values: checked parameters; those left out keep the notebook's default.
        settings: what the notebook's own `load()` is to find.
        output: the file to write.
        progress: called after each code cell.
        cell_limit_s: seconds that one cell may take.
        run_limit_s: seconds that all of them may take.
        memory_mb: megabytes of data that the kernel may have; what goes beyond ends in a MemoryError.
        output_limit_mb: megabytes that the cells may print and draw, all together.
        kernels: the kernel's process id is put in while it runs.
        usage: told while it runs.

    Raises:
        ReportError: a cell failed, a limit was reached or the kernel died; says which cell and where `output` is.
    """
    with quick_import():
        import jupytext
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        from pipelines.kernel import register

    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    # papermill adds a cell for the values given.
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells) + bool(values)
    done = 0

    def on_cell() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(report, done, total)

    used = usage if usage is not None else Usage()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gaugebook-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        jupytext.write(notebook, folder / "report.ipynb")
        try:
            papermill.execute_notebook(
                folder / "report.ipynb",
                # papermill formats the path like a template.
                str(output.resolve()).replace("{", "{{").replace("}", "}}"),
                dict(values),
                engine_name=register(),
                kernel_name="python3",
                language="python",
                progress_bar=False,
                folder=folder,
                environment=environment(settings, folder),
                cell_limit_s=cell_limit_s,
                run_limit_s=run_limit_s,
                on_cell=on_cell,
                memory_mb=memory_mb,
                output_limit_mb=output_limit_mb,
                kernels=kernels if kernels is not None else set(),
                usage=used,
            )
        except PapermillExecutionError as error:
            reason = f"{_cell(error.source)} failed: {error.ename}: {_first_line(error.evalue)}"
        except CellTimeoutError:
            limit = f"{cell_limit_s:g} s for a cell, {run_limit_s:g} s in all"
            reason = f"{_cell(_running(output))} took longer than is allowed ({limit})"
        except DeadKernelError:
            cell = _cell(_running(output))
            reason = (
                f"{cell} printed and drew more than the {output_limit_mb:g} MB that a run may"
                if used.output_mb > output_limit_mb
                else f"the kernel died in {cell}{_last_words(folder)}"
            )
        except (RuntimeError, TimeoutError) as error:
            reason = f"the kernel did not start: {_first_line(str(error))}{_last_words(folder)}"
        else:
            return
    raise ReportError(report, f"{reason}; the notebook as far as it ran is {output}")


def environment(settings: Settings, scratch: Path) -> dict[str, str]:
    """Our own environment with `settings` in place of every `GAUGEBOOK_*`, and IPython's files in `scratch`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return (
        inherited
        | _variables(settings)
        | {
            "IPYTHONDIR": str(scratch / "ipython"),
            "JUPYTER_NO_CONFIG": "1",
            "MPLBACKEND": "agg",
            "PLOTLY_RENDERER": "plotly_mimetype",  # a chart's data alone: no megabytes of script, no address of a CDN
        }
    )


def _variables(settings: Settings) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name in type(settings).model_fields:
        value: Any = getattr(settings, name)
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
        if isinstance(value, Path):
            value = value.absolute()  # the kernel works in another folder
        if value is not None:
            variables[PREFIX + name.upper()] = ",".join(value) if isinstance(value, tuple) else str(value)
    return variables


def _running(output: Path) -> str:
    """The source of the cell that was running, from the notebook's own record."""
    import nbformat

    cells = nbformat.read(output, as_version=4).cells  # type: ignore[no-untyped-call]
    started = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.get("start_time")]
    return str(started[-1].source) if started else ""


def _cell(source: str) -> str:
    """A cell as a reader knows it: its first line of code."""
    lines = [line.strip() for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return f"the cell `{lines[0][:80]}`" if lines else "a cell"


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else ""


def _last_words(folder: Path) -> str:
    """The last line that the kernel process printed, if any."""
    log = folder / "kernel.log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return f" ({lines[-1][:200]})" if lines else ""
