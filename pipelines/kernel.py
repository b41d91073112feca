"""The papermill engine that runs a notebook in this very interpreter, with an environment of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.log import logger as papermill_log

ENGINE = "gaugebook"
MAX_SOCKET_PATH = 90  # a Unix socket's path holds 107 bytes, and `-ipc-5` is added to ours

# Plotly imports nbformat to show a chart; see `jupyter.quick_import`.
QUICK = "import sys; sys.modules.setdefault('rfc3987_syntax', None); del sys"

# Without a handler Python prints a library's errors to stderr; here they arrive as exceptions.
log = logging.getLogger("pipelines.kernel")
log.addHandler(logging.NullHandler())


class ThisInterpreter(KernelSpecManager):
    """Answers every kernel name with ipykernel in `sys.executable`, whatever kernels are installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002  # its base names it
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """A papermill client whose kernel talks over Unix sockets in `folder` instead of guessable, racing TCP ports."""

    folder: Path
    pid: int = 0

    async def async_start_new_kernel(self, **options: Any) -> None:
        await super().async_start_new_kernel(**options)
        self.pid = getattr(self.km.provisioner, "pid", 0)

    start_new_kernel = run_sync(async_start_new_kernel)

    def create_kernel_manager(self) -> AsyncKernelManager:
        connection = self.folder / "kernel.json"
        self.km = AsyncKernelManager(
            kernel_name=self.kernel_name,
            kernel_spec_manager=ThisInterpreter(log=log),
            connection_file=str(connection),
            transport="ipc" if len(str(connection)) <= MAX_SOCKET_PATH else "tcp",
            log=log,
        )
        return self.km


class GaugebookEngine(Engine):  # type: ignore[misc]
    """Runs a notebook with an environment that is neither written into it nor set in this process."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        folder: Path,
        environment: Mapping[str, str],
        cell_limit_s: float,
        run_limit_s: float,
        on_cell: Callable[[], None],
        kernels: set[int],
        start_timeout: int = 60,
        **_unused: Any,
    ) -> None:
        deadline = time.monotonic() + run_limit_s
        client: Client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            # nbclient takes 0 for "no limit", so a spent run still gets one second.
            timeout_func=lambda _cell: max(1, int(min(cell_limit_s, deadline - time.monotonic()))),
            iopub_timeout=60,
            extra_arguments=["--HistoryManager.enabled=False", f"--IPKernelApp.exec_lines={QUICK}"],
            on_notebook_start=lambda **_told: kernels.add(client.pid),
            on_cell_executed=lambda **_told: on_cell(),
            log=log,
        )
        client.folder = folder
        with (folder / "kernel.log").open("wb") as output:
            # An empty context has no event loop, so that the one that is made in it is ours to close.
            options = {"env": dict(environment), "cwd": str(folder), "stdout": output, "stderr": output}
            try:
                Context().run(_with_own_loop, client, **options)
            finally:
                kernels.discard(client.pid)


def _with_own_loop(client: Client, **options: Any) -> None:
    try:
        client.execute(**options)
    finally:
        if not _loop_is_running():  # as it is in a notebook; then nbclient has worked in a thread of its own
            _close(ensure_event_loop())


def _close(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)  # left over by Ctrl-C
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
    asyncio.set_event_loop(None)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def register() -> str:
    """Make the engine known to papermill and return its name."""
    papermill_engines.register(ENGINE, GaugebookEngine)
    papermill_log.addFilter(_says_something)
    return ENGINE


def _says_something(record: logging.LogRecord) -> bool:
    # papermill cannot read `str | None`; the parameters have been checked before.
    return not str(record.msg).startswith("Passed unknown parameter")
