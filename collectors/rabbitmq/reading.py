"""What one look at a broker tells, whichever way it was asked. None and an absent key: the broker does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Key = tuple[str, str]  # (vhost, queue)
Asked = Literal["native", "management", "kbudde"]


@dataclass(slots=True)
class Queue:
    """A queue. Below `consumers`: only where asked for detail, or where the source tells it anyway.

    `counters` are totals that do not fall when channels close, by the names of `names.QUEUE_COUNTERS`;
    `extra` has what few queues have, by the names of `names.QUEUE_EXTRA`.
    """

    vhost: str
    name: str
    messages: int | None = None
    ready: int | None = None
    unacked: int | None = None
    consumers: int | None = None
    type: str | None = None
    state: str | None = None
    policy: str | None = None
    node: str | None = None
    durable: bool | None = None
    exclusive: bool | None = None
    auto_delete: bool | None = None
    message_bytes: int | None = None
    memory_bytes: int | None = None
    consumer_utilisation: float | None = None  # 0..1
    head_timestamp: float | None = None  # seconds since 1970, as the publisher stamped it
    max_length: int | None = None  # the limits are the effective ones: of policy, operator policy and arguments
    max_length_bytes: int | None = None
    message_ttl_ms: int | None = None
    expires_ms: int | None = None
    dead_letter_exchange: str | None = None  # "": the default exchange
    dead_letter_routing_key: str | None = None
    counters: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.vhost, self.name


@dataclass(slots=True)
class Node:
    """A node of the cluster; `values` by the names of `names.NODE`. One that does not run has no values."""

    name: str
    running: bool
    values: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Link:
    """A shovel or a federation link. `state` is what the broker calls it; `running` is the good one."""

    kind: Literal["shovel", "federation"]
    name: str
    vhost: str
    state: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One of the broker's own health checks. `reason` says why it failed, or why it could not be asked."""

    name: str
    state: Literal["passed", "failed", "unknown"]
    reason: str = ""

    @property
    def passed(self) -> bool:
        return self.state == "passed"


@dataclass(slots=True)
class Reading:
    """One look. `totals` and `counters` are of the whole cluster, by the names of `names.TOTALS` and `names.COUNTERS`.

    Attributes:
        ts: UTC.
        at_s: on the monotonic clock, when the counters were read.
        boots: of each node its start in seconds since 1970, give or take a second: it jumps when the node starts again.
            The counters are of these nodes together: where one came or went, they are not to be compared.
        skipped: samples that could not be read.
    """

    ts: datetime
    at_s: float
    cluster: str
    version: str | None
    erlang: str | None
    source: Asked
    totals: dict[str, float] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    queues: list[Queue] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    boots: dict[str, float] = field(default_factory=dict)
    skipped: int = 0


class Source(Protocol):
    """A way to ask a broker. `where` is its address, without credentials."""

    @property
    def where(self) -> str: ...

    def read(self, *, vhosts: Callable[[str], bool] | None = None) -> Reading:
        """One cheap look, at depth and consumers of every queue in the vhosts for which `vhosts` says yes.

        Raises:
            SourceError: the broker does not answer as it should; its `kind` says how.
        """

    def detail(self, keys: Sequence[Key]) -> list[Queue]:
        """All that is known of these queues and of no others. What is gone meanwhile is left out.

        Raises:
            SourceError: as `read`.
        """

    def checks(self) -> list[Check]:
        """The broker's health checks that its release has; none where there is no management API to ask.

        They cost the broker more than a look does: once a minute is often enough. Raises what `read` raises.
        """

    def close(self) -> None: ...
