"""Prometheus beside a backup: a snapshot of its blocks, copied where they can be reached."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2

from store.errors import BackupError

TIMEOUT_S = 300.0  # writing the head block of a large server takes minutes


def snapshot(url: str, to: Path, earlier: Iterable[Path] = ()) -> str:
    """Have the Prometheus at `url` write a snapshot and copy it into `to`; a line that says where it is.

    A block never changes, so one that is in a folder of `earlier` too is linked and takes no room. Where the data
    folder is on another machine, the snapshot stays there.

    Raises:
        BackupError: it does not answer, or its admin API is off.
    """
    with httpx2.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        name = _ask(client, "POST", "/api/v1/admin/tsdb/snapshot")["name"]
        data = Path(_ask(client, "GET", "/api/v1/status/flags")["storage.tsdb.path"])
    made = data / "snapshots" / name
    if not data.is_absolute() or not os.access(made, os.R_OK | os.X_OK):
        return f"Prometheus' snapshot is on its own machine: {made}"
    _copy(made, to, [block for folder in earlier if folder.is_dir() for block in folder.iterdir()])
    if os.access(made.parent, os.W_OK):
        shutil.rmtree(made, ignore_errors=True)  # left there, it holds on to blocks that retention drops
        return f"Prometheus' snapshot is in {to}"
    return f"Prometheus' snapshot is in {to}; remove {made}, which keeps old blocks from being dropped"


def _ask(client: httpx2.Client, method: str, path: str) -> dict[str, Any]:
    where = f"Prometheus at {client.base_url}"
    try:
        answer = client.request(method, path)
        body = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise BackupError(where, f"gave no snapshot: {error}. The database's own backup is complete") from error
    if body.get("status") != "success":
        advice = "; start it with --web.enable-admin-api" if "admin" in str(body.get("error")) else ""
        raise BackupError(
            where, f"gave no snapshot: {body.get('error')}{advice}. The database's own backup is complete"
        )
    data: dict[str, Any] = body["data"]
    return data


def _copy(made: Path, to: Path, known: Iterable[Path]) -> None:
    blocks = {block.name: block for block in known}
    fresh = to.with_name(f"{to.name}.new")
    for block in sorted(made.iterdir()):
        # By its number alone: an ULID is given once.
        copy = os.link if block.name in blocks else _copy_to_disk
        shutil.copytree(blocks.get(block.name, block), fresh / block.name, copy_function=copy)
    fresh.mkdir(exist_ok=True)
    fresh.chmod(0o700)
    fresh.rename(to)


def _copy_to_disk(origin: str, copy: str) -> None:
    shutil.copy2(origin, copy)
    with Path(copy).open("rb") as file:
        os.fsync(file.fileno())
