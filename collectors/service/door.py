"""What happens to a batch: who sends it, what it holds, kept on disk, answered."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from collectors.service.batch import CONTENT_TYPES, Answer, Reader, Recent, Sender
from collectors.service.keys import ApiKey, Keys
from collectors.service.metrics import Metrics
from collectors.service.rows import KINDS, Kind
from collectors.web.body import decoded
from collectors.web.keep import Keeper
from collectors.web.refusal import Refusal

MOST_REPLIES = 10_000  # answers that are remembered by their Idempotency-Key


@dataclass(frozen=True, slots=True)
class Post:
    """A request with rows: its headers that matter, and its body as it was sent."""

    kind: Kind
    key: ApiKey
    content_type: str
    encoding: str
    idempotency_key: str
    body: bytes


class Door:
    """Takes one batch at a time.

    Args:
        keys: who may come in.
        keeper: keeps the rows.
        metrics: counts.
        limit: bytes that a body may become.
    """

    def __init__(self, keys: Keys, keeper: Keeper, metrics: Metrics, *, limit: int) -> None:
        self._keys, self._keeper, self._metrics, self._limit = keys, keeper, metrics, limit
        self._recent = Recent()
        self._readers = {kind.path: Reader(kind, self._recent) for kind in KINDS}
        self._replies: OrderedDict[tuple[str, str, str], tuple[bytes, Answer]] = OrderedDict()

    @property
    def open(self) -> bool:
        """Whether there is room on disk for what is sent."""
        return self._keeper.has_room()

    def known(self, authorization: str, scope: str) -> ApiKey:
        """The key in the header Authorization, which has to have `scope`.

        Raises:
            Refusal: there is none, it is wrong, or it may do something else.
        """
        word, _, token = authorization.strip().partition(" ")
        key = self._keys.of(token.strip()) if word.lower() == "bearer" else None
        if key is None:
            text = "send Authorization: Bearer with a key; `gaugebook key add` makes one"
            raise Refusal(401, "unauthorized", text)
        if scope not in key.scopes:
            raise Refusal(403, "forbidden", f"this key has not the scope {scope}")
        return key

    def take(self, post: Post) -> Answer:
        """Keep the rows of `post`; when this returns they are on disk.

        Raises:
            Refusal: none of them is kept.
        """
        digest = hashlib.sha256(post.body).digest()
        remembered = (post.key.key_id, post.kind.path, post.idempotency_key)
        if post.idempotency_key and (reply := self._replies.get(remembered)):
            if reply[0] != digest:
                raise Refusal(422, "idempotency", "this Idempotency-Key was sent before, with another body")
            return reply[1]
        body = decoded(post.body, post.encoding, self._limit)
        batch = self._readers[post.kind.path].read(body, post.content_type, Sender(post.key.teams))
        self._keeper.keep(post.kind.table, post.kind.columns, batch.rows)
        self._recent.add(post.kind.table, batch.keys)
        answer = batch.answer()
        for outcome in ("accepted", "duplicate", "rejected"):
            self._metrics.rows.labels(post.kind.path, outcome).inc(getattr(answer, outcome))
        if post.idempotency_key:
            self._replies[remembered] = digest, answer
            if len(self._replies) > MOST_REPLIES:
                self._replies.popitem(last=False)
        return answer


def content_type_of(header: str, known: Sequence[str] = CONTENT_TYPES) -> str:
    """The media type of a header Content-Type.

    Raises:
        Refusal: it is none of `known`.

    >>> content_type_of("application/json; charset=utf-8")
    'application/json'
    """
    found = header.partition(";")[0].strip().lower()
    if found not in known:
        raise Refusal(415, "content_type", f"Content-Type must be one of: {', '.join(known)}")
    return found
