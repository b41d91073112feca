"""Carry out a run of a write-back job in a process of its own, and note in the ledger how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines import ledger
from pipelines.execute import environment
from pipelines.ledger import Again, Run
from pipelines.parameters import Value
from store.errors import WriteBackError
from store.settings import Settings

_LINE = 500  # characters of an error that are told


@dataclass(frozen=True)
class _Told:
    """What a process that has done well says: rows in each table, megabytes of memory at its peak."""

    rows: dict[str, int]
    peak_mb: float


def carry_out(
    settings: Settings,
    run: Run,
    values: Mapping[str, Value],
    *,
    limit_s: float,
    memory_mb: int | None = None,
    kernels: set[int] | None = None,
    again: Callable[[], Again] = Again,
    patience_s: float = ledger.PATIENCE_S,
) -> dict[str, int]:
    """Do what a run that the ledger knows stands for; how many rows went into each table.

    Args:
        settings: the database.
        run: as it was noted in the ledger; its `report` is the job.
        values: the parameters, checked; those left out keep the job's default.
        limit_s: seconds that it may take.
        memory_mb: megabytes of data that its process may have.
        kernels: the process id is put in while it runs.
        again: asked when the run was not good: whether and when its slot is to be tried again.
        patience_s: seconds that the end waits for a database that is away.

    Raises:
        WriteBackError: it failed, took too long or died; or the ledger took this run for dead meanwhile.
    """
    begun = time.monotonic()
    peak_mb: float | None = None
    try:
        ledger.patiently(lambda: ledger.note_data(settings, run), patience_s)
        told = _made(settings, run, values, limit_s, memory_mb, kernels if kernels is not None else set())
        peak_mb = told.peak_mb
    except BaseException as error:
        reason = str(error) if isinstance(error, WriteBackError) else f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - begun
        ledger.finished(settings, run, error=reason, again=again(), duration_s=seconds, patience_s=patience_s)
        raise
    seconds = time.monotonic() - begun
    if not ledger.finished(settings, run, duration_s=seconds, peak_mb=peak_mb, patience_s=patience_s):
        raise WriteBackError(run.report, "the ledger took this run for dead and has given its slot away")
    return told.rows


def _made(
    settings: Settings, run: Run, values: Mapping[str, Value], limit_s: float, memory_mb: int | None, kernels: set[int]
) -> _Told:
    given = {"job": run.report, "run_id": str(run.run_id), "slot": run.slot.isoformat(), "values": dict(values)}
    with tempfile.TemporaryDirectory(prefix="gaugebook-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        with (folder / "out").open("wb") as out, (folder / "said").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.jobs"],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=said,
                env=environment(settings, folder),
                cwd=folder,
            )
            kernels.add(process.pid)
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it died at once; why stands in what it said
                    process.stdin.write(json.dumps({**given, "memory_mb": memory_mb}).encode() + b"\n")
                    process.stdin.flush()
                process.wait(limit_s)
            except subprocess.TimeoutExpired:
                raise WriteBackError(run.report, f"took longer than the {limit_s:g} s that it may") from None
            finally:
                process.kill()
                process.wait()
                with suppress(BrokenPipeError):
                    process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
                kernels.discard(process.pid)
        # Too little memory has many words: a library that cannot be mapped, an allocation, a signal.
        allowed = "" if memory_mb is None else f" (it may have {memory_mb} MB)"
        lines = (folder / "said").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if process.returncode == 1 and lines:
            raise WriteBackError(run.report, lines[-1][:_LINE] + allowed)
        if process.returncode != 0:
            how = signal.Signals(-process.returncode).name if process.returncode < 0 else f"code {process.returncode}"
            raise WriteBackError(
                run.report, f"its process died ({how}){': ' + lines[-1][:_LINE] if lines else ''}{allowed}"
            )
        return _Told(**json.loads((folder / "out").read_text(encoding="utf-8").splitlines()[-1]))
