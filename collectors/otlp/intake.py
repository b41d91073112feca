"""What happens to a body: decoded, its model calls made rows, and the rows kept, before it is answered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from collectors.llm.attribution import Owner
from collectors.llm.record import COLUMNS, TABLE
from collectors.otlp import answers, from_json, from_protobuf
from collectors.otlp.answers import Answer
from collectors.otlp.calls import operation
from collectors.otlp.item import Item
from collectors.otlp.metrics import DUPLICATE, KEPT, OTHER, REFUSED, Metrics
from collectors.otlp.nested import one_each
from collectors.otlp.rows import Call, call
from collectors.otlp.seen import Seen
from collectors.web.body import decoded
from collectors.web.keep import Keeper
from collectors.web.refusal import Refusal, Unusable

log = logging.getLogger(__name__)

CONTENT_TYPES = {answers.PROTOBUF: from_protobuf, answers.JSON: from_json}


@dataclass(frozen=True, slots=True)
class Export:
    """One request: its signal (traces, metrics, logs), its headers that matter, and its body as it was sent."""

    signal: str
    content_type: str
    encoding: str
    body: bytes


class Intake:
    """Takes one request at a time.

    Args:
        keeper: keeps the rows.
        metrics: counts what comes.
        owner: to whom a call is booked that does not say it.
        limit: bytes that a body may become.
    """

    def __init__(self, keeper: Keeper, metrics: Metrics, *, owner: Owner, limit: int) -> None:
        self._keeper, self._metrics, self._owner, self._limit = keeper, metrics, owner, limit
        self._seen = Seen()

    def take(self, export: Export) -> Answer:
        """Keep what `export` tells. What is answered with 200 is on disk.

        Raises:
            Refusal: nothing of it is kept.
        """
        body = decoded(export.body, export.encoding, self._limit)
        self._metrics.decoded.labels(export.signal).inc(len(body))
        reader = CONTENT_TYPES[export.content_type]
        if export.signal == "metrics":
            self._metrics.items("metrics", OTHER, reader.metrics(body))
            return answers.taken("metrics", export.content_type)
        items = reader.spans(body) if export.signal == "traces" else reader.log_records(body)
        return self._take(export, items)

    def _take(self, export: Export, items: Iterable[Item]) -> Answer:
        calls: list[Call] = []
        wrong: list[str] = []
        other = 0
        for item in items:
            kind = operation(item)
            if kind is None:
                other += 1
                continue
            try:
                calls.append(call(item, kind, self._owner))
            except Unusable as error:
                wrong.append(str(error))
        count = self._metrics.items
        if wrong and not calls:
            count(export.signal, REFUSED, len(wrong))
            raise Refusal(400, "unusable", f"none of {len(wrong)} calls can be kept, the first because {wrong[0]}")
        kept = list(self._new(calls))
        self._keeper.keep(TABLE, COLUMNS, [each.request.values() for each in kept])
        for each in kept:
            self._seen.add(each.item, each.response_id)
        count(export.signal, KEPT, len(kept))
        count(export.signal, DUPLICATE, len(calls) - len(kept))
        count(export.signal, REFUSED, len(wrong))
        count(export.signal, OTHER, other)
        why = f"{len(wrong)} calls cannot be kept, the first because {wrong[0]}" if wrong else ""
        return answers.taken(export.signal, export.content_type, refused=len(wrong), why=why)

    def _new(self, calls: Sequence[Call]) -> Iterator[Call]:
        """The calls that were not kept before, one report of each."""
        return (each for each in one_each(calls) if not self._seen.holds(each.item, each.response_id))
