"""Bring the page of a good run to where its job says, besides its own folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from pipelines import ledger
from pipelines.ledger import Run
from pipelines.pages import moved_up, replace, usable, write_assets
from pipelines.schedule import Delivery, Folder
from store.errors import FileUnusable

ATTEMPTS = 10  # after which a delivery is given up


def wanted(deliveries: Iterable[Delivery]) -> list[dict[str, object]]:
    """What the ledger holds of the deliveries of a run that has just ended."""
    return [
        {
            **delivery.model_dump(),
            # What this release cannot do stays in the ledger, and nothing waits for it.
            **({"outcome": "waiting"} if isinstance(delivery, Folder) else {"outcome": "kept", "error": _UNABLE}),
        }
        for delivery in deliveries
    ]


_UNABLE = "this release delivers to folders only"


def deliver(connection: psycopg.Connection, run: Run) -> list[str]:
    """Make the deliveries of a run that wait, at least once each, and note how they went; what could not be done.

    A copy that shows a later slot is left alone.
    """
    newest = ledger.good(connection, run.output)
    superseded = newest is not None and newest.run_id != run.run_id
    done = [_delivered(run, one, superseded=superseded) for one in run.deliveries]
    ledger.execute(connection, "report_delivered", {"run_id": run.run_id, "deliveries": Jsonb(done)})
    return [f"{run.job}: delivery to {one['path']}: {one['error']}" for one in done if one["outcome"] == "failed"]


def _delivered(run: Run, one: Mapping[str, object], *, superseded: bool) -> dict[str, object]:
    if one["outcome"] != "waiting":
        return dict(one)
    attempts = int(str(one.get("attempts", 0))) + 1
    tried = {**one, "attempts": attempts, "at": datetime.now(UTC).isoformat(), "error": None}
    if superseded:
        return {**tried, "outcome": "superseded"}
    try:
        folder = usable(Path(str(one["path"])))
        write_assets(folder / "assets")
        page = (Path(run.output).parent / run.page).read_text(encoding="utf-8")
        replace(folder / Path(run.output).name, moved_up(page).encode())
    except (OSError, FileUnusable) as error:
        return {**tried, "outcome": "failed" if attempts >= ATTEMPTS else "waiting", "error": str(error)}
    return {**tried, "outcome": "ok"}
