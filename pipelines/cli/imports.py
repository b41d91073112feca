"""`gaugebook import`: traces and exports from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collectors.files.load import Imported, load_llm, load_usage
from pipelines.cli.common import conclude, errors
from pipelines.cli.prometheus import prometheus
from store.errors import ParameterInvalid
from store.migrate import migrate
from store.settings import load

app = typer.Typer(no_args_is_help=True, help="Import requests or usage from files, and queues from Prometheus.")
app.command()(prometheus)

File = Annotated[Path, typer.Argument(help="A .csv, .json, .jsonl or .ndjson file (also .gz), or a .parquet file.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="What is known of a public source.")]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="FIELD=COLUMN where they differ; FIELD= where the file has none.")
]
Constants = Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE for every row.")]
Start = Annotated[str | None, typer.Option(help="What second 0 of the file's clock is (UTC), as 2024-01-01.")]
Team = Annotated[str | None, typer.Option(help="Team of every row.")]
Project = Annotated[str | None, typer.Option(help="Project of every row.")]
Provider = Annotated[str | None, typer.Option(help="Provider of every row.")]
Model = Annotated[str | None, typer.Option(help="Model of every row.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check every row, write none.")]


@app.command()
def llm(
    file: File,
    *,
    preset: PresetName = None,
    column: Columns = None,
    set_: Constants = None,
    start: Start = None,
    team: Team = None,
    project: Project = None,
    provider: Provider = None,
    model: Model = None,
    dry_run: DryRun = False,
) -> None:
    """Import a trace with one row per request. The same file a second time adds nothing.

    Presets: azure-llm-2023, llmperf, and the exports litellm-spend, langfuse, helicone. Rows in error are left out, and
    the exit code is then 2. Prompts and answers in an export are not read.

    Example: `gaugebook import llm AzureLLMInferenceTrace_code.csv --preset azure-llm-2023 --project code`

    Example: `gaugebook import llm calls.jsonl --column ts=created --column input_tokens=usage.prompt_tokens
    --column output_tokens=usage.completion_tokens --set model=gpt-4o --provider openai`
    """
    constants = _pairs("set", set_) | _named(team=team, project=project, provider=provider, model=model)
    columns = _pairs("column", column)
    options = {"preset": preset, "columns": columns, "constants": constants, "start": start, "dry_run": dry_run}
    _import(file, load_llm, options)


@app.command()
def usage(
    file: File,
    *,
    preset: PresetName = None,
    column: Columns = None,
    set_: Constants = None,
    start: Start = None,
    team: Team = None,
    project: Project = None,
    provider: Provider = None,
    model: Model = None,
    dry_run: DryRun = False,
) -> None:
    """Import usage that is reported in buckets. The same file a second time adds nothing.

    Preset: servegen. Without one, --set width_s=3600 says how many seconds a bucket is wide.

    Example: `gaugebook import usage servegen_m_small_10min.csv --preset servegen --start 2024-01-01`

    Example: `gaugebook import usage export.csv --column ts=start_time --set width_s=86400 --provider openai`
    """
    constants = _pairs("set", set_) | _named(team=team, project=project, provider=provider, model=model)
    columns = _pairs("column", column)
    options = {"preset": preset, "columns": columns, "constants": constants, "start": start, "dry_run": dry_run}
    _import(file, load_usage, options)


def _import(file: Path, loader: Callable[..., Imported], options: Mapping[str, Any]) -> None:
    settings = load()
    if not options["dry_run"]:
        migrate(settings)
    with _bytes_bar() as bar:
        task = bar.add_task(file.name, total=None)

        def show(done: int, size: int) -> None:
            bar.update(task, completed=done, total=size)

        imported = loader(settings, file, progress=show, **options)
    _conclude(file, imported, dry_run=bool(options["dry_run"]))


def _conclude(file: Path, imported: Imported, *, dry_run: bool) -> None:
    done = "would be imported" if dry_run else "imported"
    line = f"{file.name}: {imported.rows} rows, {imported.written} {done}, {imported.duplicate} duplicate"
    line += f", {imported.rejected} rejected"
    if imported.skipped:
        line += f", {imported.skipped} are no requests"
    conclude(line, [f"{file.name}: {problem}" for problem in imported.problems])


def _named(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for each in given or []:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise ParameterInvalid(option, f"{each!r} is not NAME=VALUE")
        pairs[name.strip()] = value.strip()
    return pairs


def _bytes_bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # Off a terminal it would leave a blank line, and one clear line is what a script wants to read.
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
