"""`gaugebook anomalies`, `gaugebook changepoints`, and what they share with `gaugebook forecast`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pipelines.cli.common import console, progress
from store.errors import FileUnusable, NoRows, ParameterInvalid
from store.settings import load

if TYPE_CHECKING:
    import polars as pl

    from analytics import Anomalies, ChangePoints

SHOWN = 30  # findings in a table


class Source(StrEnum):
    """Which rollup a series comes from."""

    llm = "llm"
    usage = "usage"
    queues = "queues"


class Grain(StrEnum):
    """Width of a bucket."""

    hourly = "hourly"
    daily = "daily"


Value = Annotated[
    str | None, typer.Option(help="What to look at: cost_usd, requests, output_tokens, ...; messages for queues.")
]
By = Annotated[
    list[str] | None,
    typer.Option(help="Dimension to split by: team, project, provider, model; vhost, queue. May be repeated."),
]
GrainOption = Annotated[Grain, typer.Option(help="Width of a bucket.")]
SourceOption = Annotated[Source, typer.Option(help="Single requests, reported usage, or RabbitMQ queues.")]
Since = Annotated[str, typer.Option(help="Start, an ISO time with its zone, as 2026-10-01T00:00Z.")]
Until = Annotated[str, typer.Option(help="End, not included, as --since. Default: the last whole bucket.")]
Csv = Annotated[
    Path | None,
    typer.Option("--csv", help="A CSV or Parquet file of your own with ds, y and, for several series, unique_id."),
]
IdCol = Annotated[str, typer.Option(help="Column of the series in that file.")]
TimeCol = Annotated[str, typer.Option(help="Column of the times in that file.")]
TargetCol = Annotated[str, typer.Option(help="Column of the values in that file.")]
Output = Annotated[Path | None, typer.Option(help="Write the result to this .csv or .parquet file.")]
Save = Annotated[bool, typer.Option("--save", help="Write the result back into the store, for dashboards and alerts.")]


def anomalies(
    *,
    value: Value = None,
    by: By = None,
    rate: Annotated[float, typer.Option(help="False alarms a point, between 0 and 1.")] = 1e-3,
    grain: GrainOption = Grain.hourly,
    source: SourceOption = Source.llm,
    since: Since = "",
    until: Until = "",
    csv: Csv = None,
    id_col: IdCol = "unique_id",
    time_col: TimeCol = "ds",
    target_col: TargetCol = "y",
    output: Output = None,
    save: Save = False,
) -> None:
    """Find what does not fit, judging every point by those before it. What `gaugebook verdict` silenced stays silent.

    Example: `gaugebook anomalies --value cost_usd --by team --rate 0.001`

    Example: `gaugebook anomalies --source queues --by vhost --by queue --save`
    """
    check_output(output)
    wanted = value or default_value(source)
    frame = frame_of(source, wanted, by, grain, (since, until), csv)
    with progress() as bar:
        bar.add_task("scoring", total=None)
        from analytics import anomalies as find

        unit = "" if csv else unit_of(wanted)
        found = find(frame, rate, unit=unit, id_col=id_col, time_col=time_col, target_col=target_col)
        target = target_of(grain, wanted, csv)
        if not csv:
            from analytics import mutes

            found = mutes.heeded(found, mutes.verdicts(load(), target))
    _show_anomalies(found)
    write_file(found.findings, output)
    if save:
        from pipelines.writeback import save_anomalies

        written = save_anomalies(load(), found, target).written
        console.print(f"saved {written:,} rows to analytics.anomalies")


def changepoints(
    *,
    value: Value = None,
    by: By = None,
    grain: GrainOption = Grain.daily,
    source: SourceOption = Source.llm,
    since: Since = "",
    until: Until = "",
    csv: Csv = None,
    id_col: IdCol = "unique_id",
    time_col: TimeCol = "ds",
    target_col: TargetCol = "y",
    output: Output = None,
) -> None:
    """Find when a level changed for good: a date with its interval, and by how much.

    Example: `gaugebook changepoints --value cost_usd --by team`
    """
    check_output(output)
    wanted = value or default_value(source)
    frame = frame_of(source, wanted, by, grain, (since, until), csv)
    with progress() as bar:
        bar.add_task("searching", total=None)
        from analytics import changepoints as find

        unit = "" if csv else unit_of(wanted)
        found = find(frame, unit=unit, id_col=id_col, time_col=time_col, target_col=target_col)
    console.print(found.sentence(), markup=False, highlight=False)
    if len(found.table):
        _show_changes(found)
    write_file(found.table, output)


def _show_changes(found: ChangePoints) -> None:
    from analytics import words

    table = Table(box=None, pad_edge=False)
    table.add_column("series", no_wrap=True, max_width=28)
    for name in ("from", "at 95 % between", "and"):
        table.add_column(name, no_wrap=True)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    unit = found.unit if found.unit == "USD" else ""
    largest = found.table[found.table["size"].abs().arg_sort(descending=True)].head(SHOWN)
    for row in largest.iter_rows(named=True):
        names = (found.time_col, f"{found.time_col}-lo", f"{found.time_col}-hi")
        times = [words.moment(row[name]).removesuffix(" UTC") for name in names]
        levels = [words.amount(row[name], unit) for name in ("before", "after")]
        share = "" if row["relative"] is None else f"{row['relative']:+.0%}"
        table.add_row(plain(str(row[found.id_col])), *times, *levels, share)
    console.print(table)
    if len(found.table) > SHOWN:
        console.print(f"and {len(found.table) - SHOWN:,} more; --output writes them all")


def frame_of(
    source: Source, value: str, by: list[str] | None, grain: Grain, span: tuple[str, str], csv: Path | None
) -> pl.DataFrame:
    """The series that the options name, from a file or the store."""
    if csv:
        return _file(csv)
    from analytics import load as loads

    read: Any = {Source.llm: loads.llm, Source.usage: loads.usage, Source.queues: loads.queues}[source]
    dims = tuple(by) if by else ("vhost", "queue") if source is Source.queues else ()
    frame: pl.DataFrame = read(load(), value=value, by=dims, grain=str(grain), since=span[0], until=span[1])
    if frame.is_empty():
        raise NoRows({Source.llm: "llm_requests", Source.usage: "llm_usage", Source.queues: "rabbitmq_queues"}[source])
    return frame


def _file(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.is_file():
        raise FileUnusable(path, "is a folder" if path.is_dir() else "does not exist")
    try:
        return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FileUnusable(path, f"cannot be read as a table: {str(error).splitlines()[0]}") from error


def check_output(path: Path | None) -> None:
    """Before the work: it would be lost."""
    if path and path.suffix not in (".csv", ".parquet"):
        raise ParameterInvalid("output", f"expected a .csv or .parquet file, got {path.name!r}")
    if path and not path.parent.is_dir():
        raise FileUnusable(path, "its folder does not exist")


def write_file(frame: pl.DataFrame, path: Path | None) -> None:
    """Write a result to a .csv or .parquet file, if there is one to write it to."""
    if not path:
        return
    try:
        frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    except OSError as error:
        raise FileUnusable(path, f"cannot be written: {error.strerror or error}") from error
    console.print(f"wrote {len(frame):,} rows to {path}", highlight=False, markup=False)


def _show_anomalies(found: Anomalies) -> None:
    from analytics import words

    console.print(found.sentence(), markup=False, highlight=False)
    if found.findings.is_empty():
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("series", no_wrap=True, max_width=28)
    for name in ("from", "until"):
        table.add_column(name, no_wrap=True)
    for name in ("value", "expected", "score"):
        table.add_column(name, justify="right", no_wrap=True)
    unit = found.unit if found.unit == "USD" else ""
    for row in found.findings.sort("score", descending=True).head(SHOWN).iter_rows(named=True):
        values = [words.amount(row[name], unit) for name in (found.target_col, "expected")]
        times = [words.moment(row[name]).removesuffix(" UTC") for name in (found.time_col, "until")]
        table.add_row(plain(str(row[found.id_col])), *times, *values, f"{row['score']:.1f}")
    console.print(table)
    if len(found.findings) > SHOWN:
        console.print(f"and {len(found.findings) - SHOWN:,} more; --output writes them all")


def plain(text: str) -> str:
    """A name that rich prints as it is: a queue may be called `[red]`."""
    from rich.markup import escape

    return escape(text)


def default_value(source: Source) -> str:
    """What is looked at where --value is not given."""
    return {Source.llm: "cost_usd", Source.usage: "requests", Source.queues: "messages"}[source]


def unit_of(value: str) -> str:
    """The unit of a value as people read it."""
    return "USD" if value == "cost_usd" else value.replace("_", " ")


def target_of(grain: Grain, value: str, csv: Path | None) -> str:
    """What was analysed, as the store keeps it beside the result."""
    return csv.name if csv else f"{grain} {value}"
