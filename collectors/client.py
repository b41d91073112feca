"""Sends rows to `gaugebook serve`, wherever it runs."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx2
from pydantic_core import to_json

from collectors.service.batch import JSON, Answer
from collectors.service.rows import KINDS, LLMRequest, LLMUsage, NodeSample, QueueSample, Sent
from store.errors import SourceError

__all__ = ["Answer", "Client", "LLMRequest", "LLMUsage", "NodeSample", "QueueSample"]

BATCH = 1_000  # rows in a request
AGAIN = (408, 429, 502, 503, 504)
BACK_OFF_S, MOST_S = 0.5, 60.0
PATHS = {kind.model: kind.path for kind in KINDS}

Row = Sent | Mapping[str, Any]


class Client:
    """Sends rows in batches, each until it is answered: a batch that is sent again is stored once.

    Args:
        url: address of the service, as http://127.0.0.1:8466.
        key: as `gaugebook key add` has shown it.
        ca: file of the CA (PEM) that has signed the service's certificate; none: the system's.
        cert: files of a certificate (PEM) and its key, where the service asks for one.
        timeout_s: seconds to wait for one answer.
        tries: of a batch, while nobody answers or the service asks to come back.

    >>> with Client("http://127.0.0.1:8466", "gbk_…") as client:  # doctest: +SKIP
    ...     client.llm_requests([{"ts": "2026-10-01T12:00:00Z", "request_id": "r1", "model": "gpt-4o"}])
    Answer(accepted=1, duplicate=0, rejected=0, rows=[])
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        ca: Path | str | None = None,
        cert: tuple[Path | str, Path | str] | None = None,
        timeout_s: float = 30.0,
        tries: int = 8,
    ) -> None:
        headers = {"authorization": f"Bearer {key}", "content-type": JSON}
        context = ssl.create_default_context(cafile=ca)
        if cert is not None:
            context.load_cert_chain(*cert)
        self._client = httpx2.Client(base_url=url, headers=headers, timeout=timeout_s, verify=context)
        self._url, self._tries = url, tries

    def llm_requests(self, rows: Iterable[LLMRequest | Mapping[str, Any]]) -> Answer:
        """Send calls of models; see `LLMRequest` for their fields.

        Returns:
            What became of them; `row` counts from 0 over all that were given.

        Raises:
            SourceError: the service refuses them (kind `denied` or `wrong`), or does not answer (`down`). What was
                answered before is stored; all may be sent again.
        """
        return self._send(LLMRequest, rows)

    def llm_usage(self, rows: Iterable[LLMUsage | Mapping[str, Any]]) -> Answer:
        """Send usage of spans of time, as `llm_requests` does calls."""
        return self._send(LLMUsage, rows)

    def queues(self, rows: Iterable[QueueSample | Mapping[str, Any]]) -> Answer:
        """Send samples of queues, as `llm_requests` does calls."""
        return self._send(QueueSample, rows)

    def nodes(self, rows: Iterable[NodeSample | Mapping[str, Any]]) -> Answer:
        """Send samples of a broker's nodes, as `llm_requests` does calls."""
        return self._send(NodeSample, rows)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _send(self, model: type[Sent], rows: Iterable[Row]) -> Answer:
        whole, first = Answer(accepted=0, duplicate=0, rejected=0, rows=[]), 0
        for batch in _batches(rows):
            answer = self._post(PATHS[model], to_json([_plain(row) for row in batch]))
            whole.accepted += answer.accepted
            whole.duplicate += answer.duplicate
            whole.rejected += answer.rejected
            whole.rows += [told.model_copy(update={"row": told.row + first}) for told in answer.rows]
            first += len(batch)
        return whole

    def _post(self, path: str, body: bytes) -> Answer:
        headers = {"idempotency-key": uuid4().hex}
        for attempt in range(self._tries):
            wait_s = BACK_OFF_S * 2**attempt
            try:
                response = self._client.post(path, content=body, headers=headers)
            except httpx2.TransportError as error:
                failed = SourceError(self._url, str(error) or "nobody answers", "down")
            else:
                if response.status_code in (200, 422) and "accepted" in (told := response.json()):
                    return Answer.model_validate(told)
                failed = _refused(self._url, response)
                if response.status_code not in AGAIN:
                    raise failed
                asked_for = response.headers.get("retry-after", "")
                wait_s = float(asked_for) if asked_for.isdecimal() else wait_s
            if attempt + 1 < self._tries:
                time.sleep(min(wait_s, MOST_S) * random.uniform(0.5, 1.0))  # noqa: S311
        raise failed


def _plain(row: Row) -> Mapping[str, Any]:
    return row.model_dump(exclude_unset=True) if isinstance(row, Sent) else row


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _refused(where: str, response: httpx2.Response) -> SourceError:
    try:
        reason = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        reason = f"status {response.status_code}"
    return SourceError(where, reason, "denied" if response.status_code in (401, 403) else "wrong")
