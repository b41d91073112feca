"""Tells people that a budget has reached a soft limit, or that it has begun to refuse calls: the log and a webhook."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from collectors.llm.budget.call import dollars

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 25.0)  # after the first try, the second and the third
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """What has happened to a budget.

    `level`: the soft limit as a fraction of the limit. `held_usd`: what is reserved for calls under way.
    """

    event: Literal["soft_limit", "refused"]
    budget: str
    spent_usd: Decimal
    limit_usd: Decimal
    resets_at: datetime
    level: Decimal | None = None
    held_usd: Decimal = Decimal(0)

    @property
    def text(self) -> str:
        """One sentence.

        >>> from datetime import UTC
        >>> january = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Announcement("soft_limit", "search", Decimal("0.81"), Decimal(1), january, Decimal("0.8")).text
        "budget 'search' has reached 80% of its limit: $0.81 of $1.00 is spent. It resets at 2026-01-01 00:00 UTC"
        """
        held = f", {dollars(self.held_usd)} is reserved for calls under way" if self.held_usd else ""
        what = "refuses calls" if self.level is None else f"has reached {float(self.level) * 100:.4g}% of its limit"
        return (
            f"budget {self.budget!r} {what}: {dollars(self.spent_usd)} of {dollars(self.limit_usd)} is spent{held}. "
            f"It resets at {self.resets_at:%Y-%m-%d %H:%M} UTC"
        )

    def body(self) -> bytes:
        """What is posted. Slack and its like show `text`; amounts are texts, so that they stay exact."""
        said = {
            "event": self.event,
            "budget": self.budget,
            "level": None if self.level is None else float(self.level),
            "spent_usd": f"{self.spent_usd:f}",
            "limit_usd": f"{self.limit_usd:f}",
            "resets_at": self.resets_at.isoformat(),
            "text": self.text,
        }
        return json.dumps(said).encode()


class Webhooks:
    """Posts announcements in the background, a few times each until they are taken."""

    def __init__(self, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._posting: list[threading.Thread] = []

    def post(self, url: str, announcement: Announcement) -> None:
        """Post it; returns at once."""
        self._posting = [thread for thread in self._posting if thread.is_alive()]
        thread = threading.Thread(target=self._post, args=(url, announcement), name="gaugebook-webhook", daemon=True)
        self._posting.append(thread)
        thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until all are posted or given up, at most `timeout_s`."""
        end = time.monotonic() + timeout_s
        for thread in self._posting:
            thread.join(max(0.0, end - time.monotonic()))

    def _post(self, url: str, announcement: Announcement) -> None:
        reason = "it is no http address"
        if url.startswith(("http://", "https://")):
            for pause_s in (*self._pauses_s, None):
                try:
                    send(url, announcement.body())
                    return
                except HTTPError as error:
                    reason = f"status {error.code}"
                    error.close()
                    if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                        break
                except Exception as error:  # noqa: BLE001 - a strange address or answer: it ends in the log, like any other
                    reason = type(error).__name__  # its text may show the address, and that may hold a secret
                if pause_s is not None:
                    time.sleep(pause_s)
        log.warning("the webhook of budget %r was not reached: %s", announcement.budget, reason)


def send(url: str, body: bytes) -> None:
    """One POST of JSON. By the standard library, which no tap of ours is under.

    Raises:
        OSError: it did not arrive, or the answer is an error.
    """
    request = Request(url, body, {"Content-Type": "application/json", "User-Agent": "gaugebook"})  # noqa: S310 - http only: the caller looks
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        answer.read()
