"""What happens to a batch: who sends it, what it holds, kept on disk, answered."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from collectors.service.batch import CONTENT_TYPES, Answer, Key, Reader, Recent, Sender
from collectors.service.keys import ApiKey
from collectors.service.metrics import OUTCOMES, Metrics
from collectors.service.rows import KINDS, Kind
from collectors.web.body import decoded
from collectors.web.keep import Keeper
from collectors.web.refusal import Refusal

MOST_REPLIES = 100_000  # rows that are named in the answers that are remembered by their Idempotency-Key: about 50 MB


@dataclass(frozen=True, slots=True)
class Post:
    """A request with rows: its headers that matter, and its body as it was sent."""

    kind: Kind
    key: ApiKey
    content_type: str
    encoding: str
    idempotency_key: str
    body: bytes

    @property
    def remembered(self) -> tuple[str, str, str]:
        """By what its answer is remembered."""
        return self.key.key_id, self.kind.path, self.idempotency_key


@dataclass
class Together:
    """Rows of one table that are kept together: their keys, and the posts that they came in."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    posts: list[int] = field(default_factory=list)


class Door:
    """Takes batches, from one thread.

    Args:
        keeper: keeps the rows.
        metrics: counts.
        limit: bytes that a body may become.
    """

    def __init__(self, keeper: Keeper, metrics: Metrics, *, limit: int) -> None:
        self._keeper, self._metrics, self._limit = keeper, metrics, limit
        self._recent = Recent()
        self._readers = {kind.path: Reader(kind, self._recent) for kind in KINDS}
        self._replies: OrderedDict[tuple[str, str, str], tuple[bytes, Answer]] = OrderedDict()
        self._named = 0  # rows in them, and one for each

    @property
    def open(self) -> bool:
        """Whether there is room on disk for what is sent."""
        return self._keeper.has_room()

    def take(self, posts: Sequence[Post]) -> list[Answer | Refusal]:
        """Keep the rows of `posts`, forced to disk once for all of them; when this returns they are there.

        What becomes of each is an answer, or why none of its rows is kept.
        """
        outcomes: list[Answer | Refusal] = []
        kept: dict[Kind, Together] = {}
        for index, post in enumerate(posts):
            try:
                outcomes.append(self._answer(post, index, kept.setdefault(post.kind, Together())))
            except Refusal as refusal:
                outcomes.append(refusal)
        for kind, together in kept.items():
            try:
                self._keeper.keep(kind.table, kind.columns, together.rows)
            except Refusal as refusal:
                for index in together.posts:
                    outcomes[index] = refusal
            else:
                self._recent.add(kind.table, together.keys)
        for post, outcome in zip(posts, outcomes, strict=True):
            if isinstance(outcome, Answer):
                self._answered(post, outcome)
        return outcomes

    def _answer(self, post: Post, index: int, together: Together) -> Answer:
        digest = hashlib.sha256(post.body).digest()
        if reply := self._replies.get(post.remembered):
            if reply[0] != digest:
                raise Refusal(422, "idempotency", "this Idempotency-Key was sent before, with another body")
            return reply[1]
        body = decoded(post.body, post.encoding, self._limit)
        reader = self._readers[post.kind.path]
        batch = reader.read(body, post.content_type, Sender(post.key.teams), together.keys)
        together.rows += batch.rows
        together.keys |= batch.keys
        together.posts.append(index)
        return batch.answer()

    def _answered(self, post: Post, answer: Answer) -> None:
        if post.remembered in self._replies:
            return
        for outcome in OUTCOMES:
            self._metrics.rows.labels(post.kind.path, outcome).inc(getattr(answer, outcome))
        if post.idempotency_key:
            self._replies[post.remembered] = hashlib.sha256(post.body).digest(), answer
            self._named += 1 + len(answer.rows)
            while self._named > MOST_REPLIES:
                _, (_, oldest) = self._replies.popitem(last=False)
                self._named -= 1 + len(oldest.rows)


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
