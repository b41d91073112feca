"""The rates of one model at one moment, and the arithmetic: whole numbers inside, so that a cost is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from operator import attrgetter

from collectors.llm.usage import Usage

MILLION, THOUSAND = 6, 3  # how many of a kind a rate is quoted for, as a power of ten

# Each kind, the ones it is a part of, and what its rate is quoted for; the parts before what they are part of.
KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "cached_audio": (("cached", "input_audio", "input"), MILLION),
    "cache_write_1h": (("cache_write", "input"), MILLION),
    "cached": (("input",), MILLION),
    "cache_write": (("input",), MILLION),
    "input_audio": (("input",), MILLION),
    "reasoning": (("output",), MILLION),
    "output_audio": (("output",), MILLION),
    "input": ((), MILLION),
    "output": ((), MILLION),
    "search": ((), THOUSAND),
    "request": ((), THOUSAND),
}
FEES = ("search", "request")
# What providers call the service that everybody gets.
STANDARD = frozenset(("", "auto", "default", "standard", "standard_only", "on_demand"))

_COUNTED = tuple(KINDS)[:-1]
_counts_of = attrgetter(
    "cached_audio_tokens",
    "cache_write_1h_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "input_tokens",
    "output_tokens",
    "web_searches",
)
_AT = {kind: place for place, kind in enumerate(_COUNTED)}
_AUDIO, _CACHED, _CACHED_AUDIO, _INPUT = (_AT[kind] for kind in ("input_audio", "cached", "cached_audio", "input"))
# They cost more than what they are a part of: without a rate of their own, nobody knows how much.
_NEVER_CHEAPER = ("cache_write_1h", "input_audio", "output_audio", "search")
_WIDE = Context(prec=100)  # an application may have set its own context to anything


@dataclass(frozen=True, slots=True)
class Tier:
    """How a request was served: its service tier, None for the standard one, and whether in a batch."""

    name: str | None = None
    batch: bool = False

    @classmethod
    @lru_cache(maxsize=1_000)
    def of(cls, service_tier: str | None, *, batch: bool = False) -> Tier:
        """The tier by what a provider calls it.

        >>> Tier.of("default"), Tier.of("Flex"), Tier.of("batch")
        (Tier(name=None, batch=False), Tier(name='flex', batch=False), Tier(name=None, batch=True))
        """
        name = service_tier.strip().lower() if service_tier else ""
        return cls(None if name in STANDARD or name == "batch" else name, batch or name == "batch")


@dataclass(frozen=True, slots=True)
class Quote:
    """A rate in USD as it is published: for a million tokens, or for a thousand searches or requests.

    `above`: (size, rate) for requests of more than `size` input tokens, smallest first; it holds for all their tokens.
    """

    base: Decimal
    above: tuple[tuple[int, Decimal], ...] = ()

    def at(self, size: int) -> Decimal:
        """The rate of a request of `size` input tokens."""
        return next((each for start, each in reversed(self.above) if size > start), self.base)

    def less(self, discount: Decimal) -> Quote:
        """The same with `discount`, a fraction, taken off."""
        left = _WIDE.subtract(Decimal(1), discount)
        return Quote(
            _WIDE.multiply(self.base, left), tuple((size, _WIDE.multiply(each, left)) for size, each in self.above)
        )


class Rates:
    """Quotes, ready to multiply. False where there is none that anything could be priced with.

    Args:
        quotes: by kind.
        hidden: `input` or `output`, and the quote of a part of it that has a rate of its own and that no usage tells
            apart (images, video): what is reported cannot be priced then, and only `worst_case` has an answer.

    >>> rates = Rates({"input": Quote(Decimal(3)), "output": Quote(Decimal(15)), "cached": Quote(Decimal("0.3"))})
    >>> rates.cost(Usage(input_tokens=1000, cached_tokens=900, output_tokens=10))
    Decimal('0.0007200')
    """

    __slots__ = ("_missing", "_needed", "_rates", "_request", "_scale", "_unknown", "hidden", "quotes")

    def __init__(self, quotes: Mapping[str, Quote], hidden: Iterable[tuple[str, Quote]] = ()) -> None:
        self.quotes, self.hidden = dict(quotes), tuple(hidden)
        single = {kind: _single(kind, quote) for kind, quote in quotes.items()}
        digits = [-int(each.as_tuple().exponent) for rates in single.values() for _, each in rates]
        self._scale = max((0, *digits))
        whole = {kind: [(size, self._whole(each)) for size, each in rates] for kind, rates in single.items()}
        order = [kind for kind in _COUNTED if kind in quotes]
        # (place of its count, places here of its own parts, rate, (size, rate) with the largest size first)
        self._rates = tuple(
            (
                _AT[kind],
                tuple(order.index(part) for part in order if kind in KINDS[part][0]),
                whole[kind][0][1],
                tuple(reversed(whole[kind][1:])),
            )
            for kind in order
        )
        self._request = whole["request"][0][1] if "request" in quotes else 0
        self._missing = tuple(_AT[kind] for kind in _NEVER_CHEAPER if kind not in quotes)
        self._needed = tuple(_AT[kind] for kind in ("input", "output") if kind in quotes)
        self._unknown = bool(self.hidden) or not self

    def __bool__(self) -> bool:
        return bool(self._needed) or "request" in self.quotes

    def cost(self, usage: Usage) -> Decimal | None:
        """What one request costs (USD); None where a kind of it has no rate or its counts contradict each other.

        A model with a rate for input alone (embeddings) charges nothing for its output. Reads from and writes to a
        cache, and reasoning, are input and output like any other where they have no rates of their own.
        """
        counts: tuple[int | None, ...] = _counts_of(usage)
        for place in self._needed:
            if counts[place] is None:
                return None
        if counts[_CACHED_AUDIO] is None and counts[_CACHED] and counts[_AUDIO]:
            return None  # nobody says how much of the audio came from the cache
        return self.sum(counts, size=counts[_INPUT] or 0)

    def sum(self, counts: Sequence[int | None], *, size: int, requests: int = 1) -> Decimal | None:
        """As `cost`, of `requests` that are alike in what decides the rate: each has `size` input tokens.

        `counts` are their sums, in the order of `counted()`; None counts as 0.
        """
        if self._unknown:
            return None
        for place in self._missing:
            if counts[place]:
                return None
        total = self._request * requests
        alone: list[int] = []
        for place, parts, base, above in self._rates:
            count = counts[place] or 0
            for part in parts:
                count -= alone[part]
            if count < 0:
                return None
            alone.append(count)
            total += count * (_at(size, base, above) if above else base)
        return self._usd(total) if type(total) is int else None  # else a count was no whole number

    def less(self, discount: Decimal) -> Rates:
        """The same rates with `discount`, a fraction, taken off each."""
        return Rates(
            {kind: quote.less(discount) for kind, quote in self.quotes.items()},
            ((way, quote.less(discount)) for way, quote in self.hidden),
        )

    def worst_case(self, input_tokens: int, max_output_tokens: int) -> Decimal | None:
        """The most that a request of this size can cost (USD), whatever its tokens turn out to be, without searches."""
        if not self:
            return None
        dearest = {"input": Decimal(0), "output": Decimal(0)}
        for kind, quote in (*self.quotes.items(), *self.hidden):
            if kind not in FEES:
                way = kind if kind in dearest else KINDS[kind][0][-1]
                dearest[way] = max(dearest[way], quote.at(input_tokens))
        worst = _WIDE.multiply(dearest["input"], Decimal(input_tokens))
        worst = _WIDE.fma(dearest["output"], Decimal(max_output_tokens), worst)
        return _WIDE.add(_WIDE.scaleb(worst, -MILLION), self._usd(self._request))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The request sizes (input tokens) above which a rate changes, smallest first."""
        return tuple(sorted({size for quote in self.quotes.values() for size, _ in quote.above}))

    def _whole(self, rate: Decimal) -> int:
        return int(_WIDE.scaleb(rate, self._scale))

    def _usd(self, total: int) -> Decimal:
        return _WIDE.scaleb(total, -self._scale)


@dataclass(frozen=True, slots=True)
class Priced:
    """Rates and where they are from."""

    rates: Rates
    version: str


def counted(**counts: int) -> list[int]:
    """Counts by kind in the order that `Rates.sum` takes them; what is not named is 0.

    >>> counted(input=7, search=1)
    [0, 0, 0, 0, 0, 0, 0, 7, 0, 1]
    """
    return [counts.get(kind, 0) for kind in _COUNTED]


def _at(size: int, base: int, above: tuple[tuple[int, int], ...]) -> int:
    for start, each in above:
        if size > start:
            return each
    return base


def _single(kind: str, quote: Quote) -> list[tuple[int, Decimal]]:
    """The rates of one token, search or request: (above this size, rate), smallest first."""
    return [
        (size, _WIDE.scaleb(_WIDE.normalize(rate), -KINDS[kind][1])) for size, rate in ((0, quote.base), *quote.above)
    ]
