"""The papermill engine that runs a notebook in this very interpreter, with an environment of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.log import logger as papermill_log

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from pipelines.execute import Usage

ENGINE = "gaugebook"
MAX_SOCKET_PATH = 90  # a Unix socket's path holds 107 bytes, and `-ipc-5` is added to ours

# Plotly imports nbformat to show a chart; see `jupyter.quick_import`.
QUICK = "import sys; sys.modules.setdefault('rfc3987_syntax', None); del sys"

# Tables take their frames along, for the files of numbers beside the page.
WHOLE = "from analytics.jupyter.frames import register; register(get_ipython()); del register"

# Memory that is written to, not addresses that are only set aside: Arrow sets aside gigabytes.
BOUNDED = "import resource; resource.setrlimit(resource.RLIMIT_DATA, ({0}, {0})); del resource"
PRINTED = {"stream", "display_data", "update_display_data", "execute_result"}

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
    usage: Usage
    output_limit_mb: float
    pid: int = 0

    async def async_start_new_kernel(self, **options: Any) -> None:
        await super().async_start_new_kernel(**options)
        self.pid = getattr(self.km.provisioner, "pid", 0)

    start_new_kernel = run_sync(async_start_new_kernel)

    def papermill_execute_cells(self) -> None:
        """As papermill does, but the notebook is written once a cell, when its code begins, and not twice.

        What was done before is on the disk then, should the run be killed.
        """
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code":
                continue
            try:
                self.nb_man.cell_start(cell, index)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                break
            finally:
                output, self.nb_man.output_path = self.nb_man.output_path, None
                self.nb_man.cell_complete(cell, cell_index=index)
                self.nb_man.output_path = output

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        if msg["msg_type"] in PRINTED:
            self.usage.output_mb += _size(msg["content"]) / 1e6
            if self.usage.output_mb > self.output_limit_mb:
                # All that it prints is kept in our memory, and a kernel that prints for ever is never done.
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                return None
        made: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return made

    def measure(self) -> None:
        """Note how much memory the kernel has had resident at most, where the system tells."""
        with suppress(OSError):
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
            if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
                self.usage.peak_mb = int(found[1]) * 1024 / 1e6

    def create_kernel_manager(self) -> AsyncKernelManager:
        connection = self.folder / "kernel.json"
        self.km = AsyncKernelManager(
            kernel_name=self.kernel_name,
            kernel_spec_manager=ThisInterpreter(log=log),
            connection_file=str(connection),
            transport="ipc" if len(str(connection)) <= MAX_SOCKET_PATH else "tcp",
            # It has told all by then. Now and then the interrupt that comes first takes the request to end with it.
            shutdown_wait_time=1.0,
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
        memory_mb: int | None,
        output_limit_mb: float,
        on_cell: Callable[[], None],
        kernels: set[int],
        usage: Usage,
        start_timeout: int = 60,
        **_unused: Any,
    ) -> None:
        deadline = time.monotonic() + run_limit_s
        code = [QUICK, WHOLE] if memory_mb is None else [QUICK, WHOLE, BOUNDED.format(memory_mb * 1_000_000)]

        def executed() -> None:
            client.measure()
            on_cell()

        client: Client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            # nbclient takes 0 for "no limit", so a spent run still gets one second.
            timeout_func=lambda _cell: max(1, int(min(cell_limit_s, deadline - time.monotonic()))),
            iopub_timeout=60,
            extra_arguments=["--HistoryManager.enabled=False", *(f"--IPKernelApp.exec_lines={line}" for line in code)],
            on_notebook_start=lambda **_told: kernels.add(client.pid),
            on_cell_executed=lambda **_told: executed(),
            log=log,
        )
        client.folder, client.usage, client.output_limit_mb = folder, usage, output_limit_mb
        with (folder / "kernel.log").open("wb") as output:
            # An empty context has no event loop, so that the one that is made in it is ours to close.
            options = {"env": dict(environment), "cwd": str(folder), "stdout": output, "stderr": output}
            try:
                Context().run(_with_own_loop, client, **options)
            finally:
                kernels.discard(client.pid)


def _size(content: Any) -> int:
    """About how many characters the texts in a message hold."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, Mapping):
        return sum(map(_size, content.values()))
    return sum(map(_size, content)) if isinstance(content, list) else 8


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
