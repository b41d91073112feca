"""Fetches /metrics of one gateway and makes rows of `metrics.llm_usage` from what its counters have grown by."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import httpx2
from httpx2 import codes

from collectors.address import split_credentials
from collectors.gateways.growth import Growth, Series
from collectors.gateways.kinds import KINDS, STARTED, UNASSIGNED, Kind, detect
from collectors.gateways.text import Page, Sample, read
from store.errors import ParameterInvalid, SourceError, UnknownName

MOST_BYTES = 64 << 20  # of one page
COUNTS = ("requests", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
COLUMNS = (
    *("ts", "width_s", "provider", "model", "team", "project", "source"),
    *(*COUNTS, "cost_usd", "usage_source", "attrs"),
)


@dataclass(frozen=True, slots=True)
class Who:
    """Whose usage a series counts."""

    provider: str
    model: str
    team: str
    project: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """One page: its samples, whose they are, and the rows of what has grown since the page before."""

    kind: Kind
    at_s: float
    page: Page
    who: dict[Sample, Who]
    rows: list[tuple[object, ...]]


class Gateway:
    """One gateway at `url`, such as `http://host:8000`; without a path, `/metrics` is meant.

    Args:
        url: may hold a user name and a password, which are never shown.
        kind: `vllm`, `litellm` or `bifrost`; None: by what its page shows.
        token: sent as a bearer token.

    Raises:
        ParameterInvalid: `url` is not an http or https address.
        UnknownName: there is no such kind.
    """

    def __init__(self, url: str, *, kind: str | None = None, token: str | None = None, timeout_s: float = 15.0) -> None:
        if kind is not None and kind not in KINDS:
            raise UnknownName("kind of gateway", kind, KINDS)
        try:
            base, auth = split_credentials(url)
        except ParameterInvalid:
            raise ParameterInvalid("url", "must look like http://host:8000/metrics") from None
        has_path = "/" in base.partition("://")[2]
        self.where = base if has_path else f"{base}/metrics"
        self.kind: Kind | None = KINDS[kind] if kind else None
        self.growth = Growth()
        self._at: tuple[datetime, float] | None = None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # No proxy and no .netrc: a gateway is near, and its credentials are those given here.
        self._client = httpx2.Client(auth=auth, headers=headers, timeout=timeout_s, trust_env=False)

    def scrape(self) -> Scrape:
        """Fetch one page.

        Raises:
            SourceError: the gateway does not answer, or shows no metrics that are known here.
        """
        text = self._get()
        now, at_s = datetime.now(UTC), time.monotonic()
        self.kind = self.kind or detect(text)
        if self.kind is None:
            names = "vLLM, LiteLLM or Bifrost"
            raise SourceError(self.where, f"shows no metrics of {names}. Is metrics output switched on there?")
        page = read(text, self.kind.wanted)
        who = _who(self.kind, page.samples)
        counters, fields = _counters(self.kind, page.samples)
        started = next((sample.value for sample in page.samples if sample.name == STARTED), None)
        by_series = {(sample.name, sample.labels): sample for sample in counters}
        grown = self.growth.since({key: sample.value for key, sample in by_series.items()}, started=started)
        since, self._at = self._at, (now, at_s)
        rows = [] if since is None else self._rows(self.kind, since, at_s, grown, by_series, fields, who)
        return Scrape(self.kind, at_s, page, who, rows)

    def close(self) -> None:
        self._client.close()

    def _rows(
        self,
        kind: Kind,
        since: tuple[datetime, float],
        at_s: float,
        grown: dict[Series, Decimal],
        by_series: dict[Series, Sample],
        fields: dict[str, str],
        who: dict[Sample, Who],
    ) -> list[tuple[object, ...]]:
        sums: dict[Who, dict[str, Decimal]] = {}
        priced: set[Who] = set()
        for series, growth in grown.items():
            sample = by_series[series]
            name, whose = fields[sample.name], who[sample]
            if name == "cost_usd" and sample.value > 0:
                priced.add(whose)  # a spend that has stayed 0 is a price that is not known, or nothing to pay
            counts = sums.setdefault(whose, {})
            counts[name] = counts.get(name, Decimal(0)) + growth
        ts, began_s = since
        width_s = max(1, round(at_s - began_s))
        rows: list[tuple[object, ...]] = []
        for whose, counts in sums.items():
            if not any(counts.values()):
                continue
            cost = counts.get("cost_usd") if whose in priced else None
            tokens = [_whole(counts.get(name)) for name in COUNTS[1:]]
            reported = "missing" if all(count is None for count in tokens) else "reported"
            head = (ts, width_s, whose.provider, whose.model, whose.team, whose.project, kind.name)
            requests = _whole(counts.get("requests")) or 0
            rows.append((*head, requests, *tokens, cost, reported, {"gateway": self.where}))
        return rows

    def _get(self) -> str:
        try:
            with self._client.stream("GET", self.where) as response:
                if response.status_code in (codes.UNAUTHORIZED, codes.FORBIDDEN):
                    raise SourceError(
                        self.where, "wants credentials: put them into the address, or name a --token-file"
                    )
                if response.status_code != codes.OK:
                    raise SourceError(self.where, f"answers with status {response.status_code}")
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise SourceError(self.where, f"answers with more than {MOST_BYTES >> 20} MB")
        except httpx2.TimeoutException as error:
            raise SourceError(self.where, "does not answer in time") from error
        except httpx2.HTTPError as error:
            raise SourceError(self.where, f"does not answer: {error}") from error
        return body.decode("utf-8", "replace")


def _counters(kind: Kind, samples: Iterable[Sample]) -> tuple[list[Sample], dict[str, str]]:
    """The samples that are counted, and the column of each name; of several names for one thing, the first there."""
    samples = list(samples)
    present = {sample.name for sample in samples}
    fields = {
        name: column
        for column, names in kind.counters.items()
        if (name := next((each for each in names if each in present), None)) is not None
    }
    return [sample for sample in samples if sample.name in fields], fields


def _who(kind: Kind, samples: Iterable[Sample]) -> dict[Sample, Who]:
    samples = list(samples)
    served_by: dict[str, set[str]] = {}
    for sample in samples:
        model, provider = sample.label(*kind.model), sample.label(*kind.provider)
        if model and provider:
            served_by.setdefault(model, set()).add(provider)
    found: dict[Sample, Who] = {}
    known: dict[Hashable, Who] = {}
    for sample in samples:
        if sample.labels not in known:
            model = sample.label(*kind.model) or "unknown"
            provider = sample.label(*kind.provider)
            if provider is None:  # not every metric of one release names it
                only = served_by.get(model, set())
                provider = next(iter(only)) if len(only) == 1 else kind.constant_provider
            team, project = sample.label(*kind.team), sample.label(*kind.project)
            known[sample.labels] = Who(provider, model, team or UNASSIGNED, project or UNASSIGNED)
        found[sample] = known[sample.labels]
    return found


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else round(value)
