"""`gaugebook forecast`: every series with its intervals, on this machine or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pipelines.cli.analysis import (
    By,
    Csv,
    Grain,
    GrainOption,
    IdCol,
    Output,
    Save,
    Since,
    Source,
    SourceOption,
    TargetCol,
    TimeCol,
    Until,
    Value,
    check_output,
    default_value,
    frame_of,
    plain,
    target_of,
    unit_of,
    write_file,
)
from pipelines.cli.common import console, errors, progress
from store.errors import ParameterInvalid
from store.settings import load

if TYPE_CHECKING:
    from analytics import Forecast
    from analytics.runs import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 24  # characters of a sparkline at most, past and future each
SHOWN = 30  # series in a table
PLACES = ("processes", "dask", "ray", "spark")  # values of --engine that say where and not how
SOURCES = {Source.llm: "llm_requests", Source.usage: "llm_usage", Source.queues: "rabbitmq_queues"}

Engine = Annotated[
    str,
    typer.Option(
        help="How: ensemble, seasonal_naive, ets, sarimax, theta, statsforecast:AutoETS, lightgbm, chronos:FOLDER, "
        "timesfm:FOLDER. Or where, for many series: processes, dask, ray, spark."
    ),
]
Model = Annotated[str, typer.Option(help="How, when --engine says where.")]
Scheduler = Annotated[
    str, typer.Option(help="Address of the cluster: tcp://host:8786 for Dask, ray://host:10001, spark://host:7077.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes on this machine. Default: one a core.")]
Chunk = Annotated[int, typer.Option(min=1, help="Series that are forecast together.")]
Folder = Annotated[
    Path | None,
    typer.Option(help="Keep results here, a Parquet file a chunk. Started again, the command does what is missing."),
]


def forecast(
    *,
    value: Value = None,
    by: By = None,
    horizon: Annotated[int, typer.Option(help="Buckets ahead.")] = 168,
    level: Annotated[float, typer.Option(help="Interval shown, in per cent.")] = 80,
    engine: Engine = "ensemble",
    model: Model = "ensemble",
    scheduler: Scheduler = "",
    workers: Workers = None,
    chunk: Chunk = 500,
    folder: Folder = None,
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
    """Forecast every series, with intervals for each step and for the sum.

    Example: `gaugebook forecast --value cost_usd --by team --horizon 168`

    Example: `gaugebook forecast --csv sales.csv --time-col day --target-col units --horizon 28 --output ahead.csv`

    Example: `gaugebook forecast --engine dask --scheduler tcp://head:8786 --by team --by model --folder runs/today`
    """
    check_output(output)
    wanted = value or default_value(source)
    levels = sorted({level, 80.0, 95.0})
    names: dict[str, Any] = {"id_col": id_col, "time_col": time_col, "target_col": target_col}
    if engine in PLACES:
        if save:
            raise ParameterInvalid("save", f"--engine {engine} keeps results in --folder; --save is for one process")
        words = {"model": model, "engine": engine, "scheduler": scheduler, "workers": workers, "chunk": chunk}
        rows = _rows(source, wanted, by, grain, (since, until), csv, id_col)
        _many(rows, horizon, level, levels, output, folder=folder, **words, **names)
        return
    for name, given in (("scheduler", scheduler), ("folder", folder), ("workers", workers)):
        if given:
            raise ParameterInvalid(
                name, f"it goes with --engine {', '.join(PLACES[:-1])} or {PLACES[-1]}, not {engine}"
            )
    frame = frame_of(source, wanted, by, grain, (since, until), csv)
    with progress() as bar:
        bar.add_task("forecasting", total=None)
        from analytics import forecast as make

        unit = "" if csv else unit_of(wanted)
        made = make(
            frame, horizon, level=levels, engine=engine, unit=unit, additive=source is not Source.queues, **names
        )
    _show_forecast(made, level)
    write_file(made.to_polars(), output)
    if save:
        from pipelines.writeback import save_forecast

        dims = tuple(by) if by else ("vhost", "queue") if source is Source.queues else ()
        origin = {} if csv else {"source": SOURCES[source], "by": dims}
        written = save_forecast(load(), made, target_of(grain, wanted, csv), **origin).written  # type: ignore[arg-type]
        console.print(f"saved {written:,} rows to analytics.forecasts")


def _rows(
    source: Source, value: str, by: list[str] | None, grain: Grain, span: tuple[str, str], csv: Path | None, id_col: str
) -> Any:
    """What the workers read themselves where they can, and the rows of a text file, which they cannot."""
    from analytics import sources

    if csv and csv.suffix == ".parquet":
        return sources.Filed(str(csv.absolute()), id_col)
    if csv:
        return frame_of(source, value, by, grain, span, csv)
    dims = tuple(by) if by else ("vhost", "queue") if source is Source.queues else ()
    return sources.stored(SOURCES[source], value=value, by=dims, grain=grain.value, since=span[0], until=span[1])


def _many(rows: Any, horizon: int, level: float, levels: list[float], output: Path | None, **words: Any) -> None:
    from analytics.distributed import forecast_many

    with progress() as bar:
        task = bar.add_task(f"forecasting on {words['engine']}", total=None)

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        made = forecast_many(rows, horizon, levels, progress=tell, **words)
    _show_run(made, level)
    if output:
        write_file(made.to_polars(), output)


def _show_run(made: Run, level: float) -> None:
    from analytics import words

    totals = made.totals().sort("total", descending=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("series", no_wrap=True, max_width=40)
    for name in ("total", f"{level:g} % from", "to"):
        table.add_column(name, justify="right")
    for row in totals.head(SHOWN).iter_rows(named=True):
        cells = [words.amount(row[c], "") for c in ("total", f"total-lo-{level:g}", f"total-hi-{level:g}")]
        table.add_row(plain(str(row[made.job.id_col])), *cells)
    console.print(table)
    if len(totals) > SHOWN:
        console.print(f"and {len(totals) - SHOWN:,} more series; --output or --folder has them all")
    errors.print(made.sentence(), style="dim", markup=False, highlight=False)
    if made.folder:
        console.print(f"results are in {made.folder}", highlight=False, markup=False, soft_wrap=True)


def sparkline(values: list[float | None], low: float, high: float) -> str:
    """Values as blocks between `low` and `high`; a missing one is a space.

    >>> sparkline([0.0, None, 2.0, 4.0], 0, 4)
    '▁ ▅█'
    """
    span = (high - low) or 1.0
    last = len(BLOCKS) - 1
    return "".join(" " if v is None else BLOCKS[min(last, max(0, round((v - low) / span * last)))] for v in values)


def _show_forecast(made: Forecast, level: float) -> None:
    from analytics import words

    rows = made.totals(level).sort("total", descending=True) if made.additive else made.last()
    bound = "total" if made.additive else "y_hat"
    table = Table(box=None, pad_edge=False)
    table.add_column("series", no_wrap=True, max_width=28)
    for name in ("total" if made.additive else "last", f"{level:g} % from", "to"):
        table.add_column(name, justify="right")
    table.add_column("past▏ahead", no_wrap=True)
    ahead = made.to_polars().partition_by(made.id_col, as_dict=True)
    width = min(WIDTH, max(6, (console.width - 60) // 2))
    past = made.history.partition_by(made.id_col, as_dict=True)
    for row in rows.head(SHOWN).iter_rows(named=True):
        name = row[made.id_col]
        before = past[(name,)][made.target_col].to_list()[-made.horizon :]
        after = ahead[(name,)]["y_hat"].to_list()
        shown = [v for v in (*before, *after) if v is not None]
        pictures = [sparkline(_thinned(one, width), min(shown), max(shown)) for one in (before, after)]
        cells = [words.amount(row[c], made.unit) for c in (bound, f"{bound}-lo-{level:g}", f"{bound}-hi-{level:g}")]
        table.add_row(plain(str(name)), *cells, "▏".join(pictures))
    console.print(table)
    if len(rows) > SHOWN:
        console.print(f"and {len(rows) - SHOWN:,} more series; --output writes them all")
    errors.print(made.how(), style="dim", markup=False, highlight=False)


def _thinned(values: list[float | None], width: int) -> list[float | None]:
    """At most `width` values: means of neighbours."""
    size = -(-len(values) // width) or 1
    groups = [[v for v in values[k : k + size] if v is not None] for k in range(0, len(values), size)]
    return [sum(group) / len(group) if group else None for group in groups]
