"""Which queues are looked at, and which of them get detail: the top K, by a rule that does not flap."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from collectors.rabbitmq.patterns import Patterns
from collectors.rabbitmq.reading import Key, Queue

LEAST = 0.1  # messages, messages/s or seconds below which a queue is not ranked
STAY = 1.5  # who is not among the top has to beat who is by half
FADE = 0.9  # of a depth that has been, per sample: half of it is left after seven
NEWS = 0.15  # share of the newest sample in the growth
TREND = 0.6  # of all change has to be growth: a depth that goes up and down does not grow


@dataclass(frozen=True, slots=True)
class Filter:
    """Which queues are looked at. `types` are those of the broker (classic, quorum, stream); none of them: all."""

    vhosts: Patterns = field(default_factory=lambda: Patterns(()))
    names: Patterns = field(default_factory=lambda: Patterns(()))
    types: frozenset[str] = frozenset()

    def queues(self, queues: Iterable[Queue], types: Mapping[Key, str]) -> list[Queue]:
        """Those of `queues` that are looked at; `types` has what a source does not tell. One of unknown type is not."""
        vhosts, names = self.vhosts, self.names
        named = [each for each in queues if (not vhosts or vhosts(each.vhost)) and (not names or names(each.name))]
        if not self.types:
            return named
        return [each for each in named if (each.type or types.get(each.key)) in self.types]


@dataclass(slots=True)
class _Seen:
    """What is remembered of a queue from sample to sample."""

    messages: int
    depth: float  # the deepest it has been, fading
    growth: float = 0.0  # messages/s, smoothed
    change: float = 0.0  # the same without its sign
    waiting_since_s: float = 0.0  # when it was last seen empty, or first seen; on the monotonic clock
    head: float | None = None  # when its oldest message was published, seconds since 1970, while that is told


class TopK:
    """The queues that get detail, at most `most`: those the user named, then the deepest, the fastest growing and those
    with the oldest message, a third of the places each; places that are left go to the next deepest and to those with
    consumers.

    The age of the oldest message is the time since the queue was last seen empty, which bounds it, or what the stamp of
    its publisher says if that is more. So that no queue comes and goes at the K-th place: depths fade over some samples
    and growth is smoothed, one that is in leaves only when another beats it by half, and the places that are left
    stay with who has them.

    >>> top = TopK(2)
    >>> queues = [Queue("/", name, messages=depth) for name, depth in (("a", 5), ("b", 50), ("c", 500))]
    >>> top.choose(0.0, 0.0, queues)
    [('/', 'b'), ('/', 'c')]
    """

    def __init__(self, most: int, named: Patterns | None = None) -> None:
        self._most, self._named = most, named or Patterns(())
        self._seen: dict[Key, _Seen] = {}
        self._at_s = 0.0
        self._rankings: tuple[set[Key], ...] = (set(), set(), set())
        self._chosen: frozenset[Key] = frozenset()

    def choose(self, at_s: float, now: float, queues: Sequence[Queue]) -> list[Key]:
        """The keys of those among `queues` that get detail, sorted.

        Args:
            at_s: when they were read, on the monotonic clock.
            now: the same in seconds since 1970.
            queues: all that are looked at, with their depths.
        """
        self._see(at_s, queues)
        before, self._chosen = self._chosen, frozenset(self._choice(at_s, now, queues))
        for key in before - self._chosen:
            if key in self._seen:
                self._seen[key].head = None  # nobody tells it any more
        return sorted(self._chosen)

    def told(self, detailed: Iterable[Queue]) -> None:
        """Remember what only the detail of a queue tells."""
        for queue in detailed:
            if (seen := self._seen.get(queue.key)) is not None:
                seen.head = queue.head_timestamp

    def _choice(self, at_s: float, now: float, queues: Sequence[Queue]) -> list[Key]:
        if len(queues) <= self._most:
            return [each.key for each in queues]
        chosen: dict[Key, None] = {}
        if self._named:
            chosen.update(dict.fromkeys(sorted(each.key for each in queues if self._named(each.name))[: self._most]))
        scores: tuple[Callable[[_Seen], float], ...] = (
            lambda seen: seen.depth,
            lambda seen: seen.growth if seen.growth > TREND * seen.change else 0.0,
            lambda seen: _age_s(seen, at_s, now),
        )
        third = (self._most - len(chosen)) // len(scores)
        for score, rank in zip(scores, self._rankings, strict=True):
            places = self._most - len(chosen) - 2 * third if rank is self._rankings[0] else third
            best = self._best(places, score, rank, chosen)
            rank.clear()
            rank.update(best)
            chosen.update(dict.fromkeys(best))
        if len(chosen) < self._most:
            chosen.update(dict.fromkeys(self._rest(self._most - len(chosen), queues, chosen)))
        return list(chosen)

    def _see(self, at_s: float, queues: Iterable[Queue]) -> None:
        elapsed_s, self._at_s = at_s - self._at_s, at_s
        before, self._seen = self._seen, {}
        for queue in queues:
            key, messages = (queue.vhost, queue.name), queue.messages or 0
            seen = before.get(key)
            if seen is None:
                seen = _Seen(messages, messages, waiting_since_s=at_s)
            else:
                seen.depth = max(messages, seen.depth * FADE)
                if elapsed_s > 0:
                    growth = (messages - seen.messages) / elapsed_s
                    seen.growth += NEWS * (growth - seen.growth)
                    seen.change += NEWS * (abs(growth) - seen.change)
                seen.messages = messages
            if not messages:
                seen.waiting_since_s = at_s
            if queue.head_timestamp is not None or not messages:
                seen.head = queue.head_timestamp
            self._seen[key] = seen

    def _best(
        self, places: int, score: Callable[[_Seen], float], stay: Container[Key], chosen: Container[Key]
    ) -> list[Key]:
        scored = (
            (value * STAY if key in stay else value, seen.depth, key)
            for key, seen in self._seen.items()
            if (value := score(seen)) > LEAST and key not in chosen
        )
        return [key for *_, key in nlargest(places, scored)]

    def _rest(self, places: int, queues: Iterable[Queue], chosen: Container[Key]) -> list[Key]:
        def order(each: Queue) -> tuple[float, bool, int, Key]:
            depth, stays = self._seen[each.key].depth, each.key in self._chosen
            return (0.0 if depth <= LEAST else depth * STAY if stays else depth), stays, each.consumers or 0, each.key

        return [key for *_, key in nlargest(places, (order(each) for each in queues if each.key not in chosen))]


def _age_s(seen: _Seen, at_s: float, now: float) -> float:
    if not seen.messages:
        return 0.0
    waits_s = at_s - seen.waiting_since_s
    return waits_s if seen.head is None else max(waits_s, now - seen.head)
