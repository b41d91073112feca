"""Forecast any number of series in chunks: the same function and the same floats on one core and on a cluster.

A chunk is an Arrow table that says what to do and whose history to read; the worker reads it, forecasts it with one
thread and hands back an Arrow table. Errors are pooled over a chunk and seasons are shared within it, wherever it runs,
so the place never changes a figure; the size of a chunk may.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import engines
from analytics.allocator import keep
from analytics.executors import executor
from analytics.forecasting import forecast, levels_of
from analytics.frames import polars
from analytics.runs import Outcome, Run, file_of
from analytics.seasons import given
from analytics.sources import Filed, Stored
from analytics.threads import at_most
from analytics.waiting import waiting
from store.errors import ColumnMissing, FileUnusable, GaugebookError, NoRows, ParameterInvalid

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.frames import Frame

CHUNK = 500  # series: enough to pool errors over, few enough for megabytes of memory and seconds of work
KEY = b"gaugebook"  # of the schema's metadata, where a chunk says what to do
PLAN = "plan.json"
SOURCES: dict[str, Callable[..., Stored | Filed]] = {"stored": Stored, "filed": Filed}


@dataclass(frozen=True)
class Job:
    """What is to be done with every chunk; `source` is None where the chunk brings its rows along."""

    horizon: int
    level: tuple[float, ...] = (80.0, 95.0)
    model: str = "ensemble"
    season_length: tuple[int, ...] = ()
    id_col: str = "unique_id"
    time_col: str = "ds"
    target_col: str = "y"
    source: Stored | Filed | None = None

    def to_json(self) -> str:
        """As text, the same for the same job."""
        kind = type(self.source).__name__.lower() if self.source else None
        return json.dumps({**asdict(self), "kind": kind}, sort_keys=True)

    @classmethod
    def of(cls, chunk: pa.Table) -> Job:
        """The job that a chunk carries.

        Raises:
            ParameterInvalid: it carries none.

        >>> import pyarrow as pa
        >>> Job.of(Job(24).put(pa.table({"unique_id": ["a"]}), 3)) == Job(24)
        True
        """
        held = (chunk.schema.metadata or {}).get(KEY)
        if held is None:
            raise ParameterInvalid("chunk", "it carries no job; make chunks by analytics.distributed.chunks()")
        read = json.loads(held)
        kind = read.pop("kind")
        read.pop("number")
        for name in ("level", "season_length"):
            read[name] = tuple(read[name])
        if kind:
            own = {key: tuple(value) if key == "by" else value for key, value in read["source"].items()}
            read["source"] = SOURCES[kind](**own)
        return cls(**read)

    def put(self, table: pa.Table, number: int) -> pa.Table:
        """The table as chunk `number` of this job."""
        held = {**json.loads(self.to_json()), "number": number}
        return table.replace_schema_metadata({KEY: json.dumps(held, sort_keys=True)})


def forecast_chunk(chunk: pa.Table) -> pa.Table:
    """Forecast one chunk; a pure function of it and of what its source holds.

    Args:
        chunk: as `chunks` makes them: names of series, or their rows, with the job in the schema's metadata.

    Returns:
        `unique_id, ds, y_hat, y_hat-lo-80, ...`, one row per series and step, and `total, total-lo-80, ...`, the sum
        over the horizon with its own interval, repeated in each row of the series. A series without any value is left
        out.

    Raises:
        GaugebookError: the source cannot be read, or its rows cannot be used.

    >>> days = pl.DataFrame({"unique_id": "a", "ds": range(56), "y": [float(day % 7) for day in range(56)]})
    >>> [one] = chunks(days, Job(2, season_length=(7,)))
    >>> pl.from_arrow(forecast_chunk(one))["y_hat"].round(2).to_list()
    [0.0, 1.0]
    """
    job = Job.of(chunk)
    with _one_thread():
        rows = _rows(chunk, job)
        known = pl.col(job.target_col).is_finite() & pl.col(job.target_col).is_not_null()
        if job.id_col in rows.columns and job.target_col in rows.columns and rows[job.target_col].dtype.is_numeric():
            rows = rows.filter(known.any().over(job.id_col))
        made = forecast(
            rows,
            job.horizon,
            job.level,
            season_length=job.season_length or None,
            engine=job.model,
            id_col=job.id_col,
            time_col=job.time_col,
            target_col=job.target_col,
        )
        table: pa.Table = made.to_polars().join(made.totals(), on=job.id_col, maintain_order="left").to_arrow()
    return table


def chunks(frame: Frame | None, job: Job, *, size: int = CHUNK) -> list[pa.Table]:
    """The chunks of a job: series in the order of their names, `size` in each.

    Args:
        frame: a long frame, or None where the job has a source; then a chunk holds names alone.
        job: what to do with each.
        size: series in a chunk.

    Raises:
        NoRows: there are no series.
        ColumnMissing, ParameterInvalid: the frame or the size cannot be used.

    >>> len(chunks(pl.DataFrame({"unique_id": ["b", "a", "c"], "ds": 1, "y": 1.0}), Job(1), size=2))
    2
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ParameterInvalid("chunk", f"expected a whole number of series, at least 1, got {size!r}")
    if frame is None:
        if job.source is None:
            raise ParameterInvalid("frame", "expected a frame, or a job with a source")
        names = job.source.names()
        if names.is_empty():
            raise NoRows(getattr(job.source, "source", "the source"))
        parts: Iterator[pl.DataFrame] = (names.slice(k, size).to_frame(job.id_col) for k in range(0, len(names), size))
    else:
        parts = _parts(frame, job, size)
    return [job.put(part.to_arrow(), number) for number, part in enumerate(parts)]


def _parts(frame: Frame, job: Job, size: int) -> Iterator[pl.DataFrame]:
    rows, _ = polars(frame)
    if rows.is_empty():
        raise NoRows("the frame")
    if job.id_col not in rows.columns:
        if job.id_col != "unique_id":
            raise ColumnMissing(job.id_col, rows.columns)
        rows = rows.with_columns(pl.lit("series").alias(job.id_col))
    kept = [name for name in (job.id_col, job.time_col, job.target_col) if name in rows.columns]
    rows = rows.select(kept).sort(job.id_col, *kept[1:2])
    starts = rows[job.id_col].rle_id()
    for number in range(0, int(starts[-1]) + 1, size):
        low, high = starts.search_sorted(number), starts.search_sorted(number + size)
        count = int(high) - int(low)
        # Gathered, since a slice would carry the whole frame along to every worker.
        yield rows.slice(int(low), count).select(pl.all().gather(pl.int_range(count)))


def _rows(chunk: pa.Table, job: Job) -> pl.DataFrame:
    held: Any = pl.from_arrow(chunk)
    return held if job.source is None else job.source.rows(held[job.id_col].to_list())


@contextmanager
def _one_thread() -> Iterator[None]:
    """One core: sums that BLAS splits over threads differ in their last digit, and a worker is one core of many."""
    from threadpoolctl import threadpool_limits

    keep()
    with threadpool_limits(1), at_most(1):
        yield


def forecast_many(
    frame: Frame | Stored | Filed,
    horizon: int,
    level: float | Sequence[float] = (80, 95),
    *,
    season_length: int | Sequence[int] | None = None,
    model: str = "ensemble",
    engine: str = "processes",
    scheduler: str = "",
    workers: int | None = None,
    chunk: int = CHUNK,
    folder: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Run:
    """Forecast every series of a frame, a file or the store, in chunks on many cores.

    Args:
        frame: a long frame; or, so that no history goes through this process, `sources.Stored` or `sources.Filed`,
            whose chunks the workers read themselves.
        horizon: steps ahead.
        level: intervals in per cent.
        season_length: season lengths in steps. Default: those confirmed in a chunk.
        model: the forecaster, as `forecast(engine=...)` takes it.
        engine: where chunks run: "serial", "processes", "dask", "ray" or "spark".
        scheduler: address of a cluster: tcp://host:8786 for Dask, ray://host:10001 for Ray, spark://host:7077 for
            Spark. Default: one on this machine, for this call. Workers need this package and, to read the store, their
            own GAUGEBOOK_DSN.
        workers: processes on this machine; default one a core.
        chunk: series in a chunk; errors are pooled and seasons shared within it.
        folder: where results are kept, one Parquet file a chunk, written by the workers: on a cluster a disk that all
            reach. Started again with the same words, a run does what is missing. Default: in memory.
        progress: called with the chunks done and their number after each.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Returns:
        A Run. A chunk that cannot be forecast is named in it and does not stop the others.

    Raises:
        UnknownName: no such model or place to run.
        PackageMissing: the package for that place is not installed.
        ParameterInvalid, ColumnMissing, NoRows: what came in cannot be used; the folder holds another run.
        GaugebookError: the first error, where every chunk failed.

    >>> days = pl.DataFrame({"unique_id": ["a"] * 56 + ["b"] * 56, "ds": [*range(56)] * 2, "y": [1.0, 2.0] * 56})
    >>> forecast_many(days, 2, season_length=2, engine="serial", chunk=1).to_polars()["y_hat"].round(2).to_list()
    [1.0, 2.0, 1.0, 2.0]
    """
    run = executor(engine)
    engines.routed("full", model)
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise ParameterInvalid("horizon", f"expected a whole number of steps, at least 1, got {horizon!r}")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ParameterInvalid("workers", f"expected a whole number of processes, at least 1, got {workers!r}")
    source = frame if isinstance(frame, Stored | Filed) else None
    names = (id_col, time_col, target_col)
    job = Job(horizon, levels_of(level), model, given(season_length), *names, source)
    parts = chunks(None if isinstance(frame, Stored | Filed) else frame, job, size=chunk)
    home = _home(folder, parts)
    counts = [_count(part, job) for part in parts]
    done = {k: Outcome(k, counts[k]) for k in range(len(parts)) if home and (home / file_of(k)).exists()}
    left = [part for k, part in enumerate(parts) if k not in done]
    taken_up = len(done)
    if progress:
        progress(taken_up, len(parts))
    if left:
        outcomes = run(partial(work, home), left, min(workers or _cores(), len(left)), scheduler)
        for outcome in outcomes if progress else waiting(outcomes, "forecast", "chunks", len(left)):
            done[outcome.number] = outcome
            if progress:
                progress(len(done), len(parts))
    made = Run(job, tuple(done[k] for k in sorted(done)), home, taken_up)
    if len(made.failed) == len(parts):
        raise ParameterInvalid("frame", f"no chunk could be forecast; {made.failed[0].failed}")
    return made


def work(home: Path | None, chunk: pa.Table) -> Outcome:
    """What a worker does with a chunk: forecast it and keep the result; an error of ours is an answer, not a crash."""
    number = int(json.loads(chunk.schema.metadata[KEY])["number"])
    job = Job.of(chunk)
    try:
        made = forecast_chunk(chunk)
    except GaugebookError as error:
        return Outcome(number, _count(chunk, job), failed=f"chunk {number}: {error}")
    found = made.column(job.id_col)
    series = len(found.unique())
    if home is None:
        return Outcome(number, series, made)
    import pyarrow.parquet as pq

    part = home / f"{file_of(number)}.{os.getpid()}"  # under its name only when it is whole
    try:
        pq.write_table(made, part)
        part.replace(home / file_of(number))
    except OSError as error:
        raise FileUnusable(part, f"cannot be written: {error.strerror or error}") from error
    return Outcome(number, series)


def _count(part: pa.Table, job: Job) -> int:
    return (
        part.num_rows if job.source else len(part.column(job.id_col).unique()) if job.id_col in part.column_names else 0
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _home(folder: Path | str | None, parts: list[pa.Table]) -> Path | None:
    """The folder of results, which holds this very run or nothing."""
    if folder is None:
        return None
    home = Path(folder).absolute()
    seen = hashlib.sha256()
    for part in parts:
        seen.update(part.schema.metadata[KEY])
        for column in part.itercolumns():
            for batch in column.chunks:
                for buffer in batch.buffers():
                    seen.update(buffer or b"")
    plan = home / PLAN
    told = json.dumps({"chunks": len(parts), "fingerprint": seen.hexdigest()})
    try:
        home.mkdir(parents=True, exist_ok=True)
        if plan.exists() and plan.read_text() != told:
            raise ParameterInvalid(
                "folder", f"{home} holds another run, of other series or words; name an empty folder"
            )
        plan.write_text(told)
    except OSError as error:
        raise FileUnusable(home, f"cannot be used for results: {error.strerror or error}") from error
    return home
