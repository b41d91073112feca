"""Bring good runs to where their jobs say: each delivery at least once, noted in the ledger, given up in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter, ValidationError

from pipelines import ledger
from pipelines.delivery import copies, mail, slack, webhook
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Bucket, Delivery, Folder, Print
from pipelines.ledger import Run
from store.errors import DeliveryRefused, GaugebookError

ATTEMPTS = 10  # after which a delivery is given up: that is after some four hours
PAUSE = timedelta(minutes=1)  # after the second attempt; each later one waits twice as long
LONGEST = timedelta(hours=1)


def _print(delivery: Print, parcel: Parcel, state: dict[str, object]) -> None:
    del delivery, state
    parcel.prints()


_MODEL: TypeAdapter[Delivery] = TypeAdapter(Delivery)
Send = Callable[[Any, Parcel, dict[str, object]], None]
SEND: Mapping[str, Send] = {
    "folder": copies.to_folder,
    "bucket": copies.to_bucket,
    "email": mail.send,
    "slack": slack.send,
    "webhook": webhook.send,
    "print": _print,
}


def wanted(deliveries: Iterable[Delivery]) -> list[dict[str, object]]:
    """What the ledger holds of the deliveries of a run that has just ended."""
    return [{**one.model_dump(mode="json", exclude_none=True), "outcome": "waiting"} for one in deliveries]


def deliver(connection: psycopg.Connection, run: Run, *, now: datetime | None = None) -> list[str]:
    """Make the deliveries of a run that wait and whose time has come, and note how they went; what was given up.

    Each is noted before the next begins: what is sent twice is at most the one during which a tick was killed. A copy
    of the page that shows a later slot is left alone; messages are sent for each slot.
    """
    newest = ledger.good(connection, run.output)
    superseded = newest is not None and newest.run_id != run.run_id
    now = now or datetime.now(UTC)
    done: list[dict[str, object]] = [dict(one) for one in run.deliveries]
    told = []
    for nr, one in enumerate(done):
        if one["outcome"] != "waiting" or not _due(one, now):
            continue
        done[nr] = _delivered(run, one, now, superseded=superseded)
        ledger.execute(connection, "report_delivered", {"run_id": run.run_id, "deliveries": Jsonb(done)})
        if done[nr]["outcome"] == "failed":
            told.append(f"{run.job}: delivery to {done[nr].get('where')}: {done[nr]['error']}")
    return told


def _due(one: Mapping[str, object], now: datetime) -> bool:
    retry_at = one.get("retry_at")
    return not isinstance(retry_at, str) or datetime.fromisoformat(retry_at) <= now


def _delivered(run: Run, one: Mapping[str, object], now: datetime, *, superseded: bool) -> dict[str, object]:
    """The entry of a delivery after one more attempt at it."""
    attempts = int(str(one.get("attempts", 0))) + 1
    tried: dict[str, object] = {**one, "attempts": attempts, "at": now.isoformat(), "error": None, "retry_at": None}
    parcel = Parcel(run)
    try:
        delivery = _read(one)
        tried["where"] = delivery.where
        if superseded and isinstance(delivery, Folder | Bucket):
            return {**tried, "outcome": "superseded"}
        SEND[delivery.to](delivery, parcel, tried)
    except Exception as error:  # noqa: BLE001  # a dead delivery is no reason for a tick to fail
        reason = parcel.secrets.hide(_words(error))
        if attempts >= ATTEMPTS or isinstance(error, DeliveryRefused):
            return {**tried, "outcome": "failed", "error": f"given up after {attempts}: {reason}"}
        return {**tried, "error": reason, "retry_at": (now + _pause(attempts)).isoformat()}
    return {**tried, "outcome": "ok"}


def _read(one: Mapping[str, object]) -> Delivery:
    """What the schedule asked for, from what the ledger has kept of it."""
    noted = ("outcome", "attempts", "at", "error", "retry_at", "where", "sent")
    try:
        return _MODEL.validate_python({name: value for name, value in one.items() if name not in noted})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DeliveryRefused(f"this release cannot carry it out: {key}: {first['msg']}") from None


def _pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts: the second is at the next tick.

    >>> [_pause(attempts).seconds // 60 for attempts in (1, 2, 3, 4, 9)]
    [0, 1, 2, 4, 60]
    """
    return min(PAUSE * 2 ** (attempts - 2), LONGEST) if attempts > 1 else timedelta()


def _words(error: Exception) -> str:
    if isinstance(error, GaugebookError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
