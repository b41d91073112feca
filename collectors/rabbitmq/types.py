"""The types of queues, for who wants some of them alone: the cheap look at a broker does not tell them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from collectors.rabbitmq.api import text
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.reading import Key, Queue

TYPES = "/api/queues?disable_stats=true&columns=name,vhost,type"  # 0.5 s at 10,000 queues
AGAIN_S = 60.0  # the list is asked for no oftener than that, however many queues come


class Types:
    """What has been learned so far. `ask` makes what asks the management API."""

    def __init__(self, ask: Callable[[], Ask]) -> None:
        self._ask = ask
        self._known: dict[Key, str] = {}
        self._asked_s: float | None = None

    def of(self, queues: Sequence[Queue]) -> Mapping[Key, str]:
        """The types of `queues`, as far as they are known; those of new ones are asked for.

        Raises:
            SourceError: the management API does not answer as it should.
        """
        now_s = time.monotonic()
        new = any(each.type is None and each.key not in self._known for each in queues)
        if new and (self._asked_s is None or now_s - self._asked_s >= AGAIN_S):
            self._asked_s = now_s
            with self._ask() as ask:
                said = [item for item in ask.json(TYPES, list) if isinstance(item, dict)]
            self._known = {
                (text(item.get("vhost")) or "", text(item.get("name")) or ""): kind
                for item in said
                if (kind := text(item.get("type")))
            }
        return self._known
