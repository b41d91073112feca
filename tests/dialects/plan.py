"""How one request is to be answered: its pieces, when each is due, and the usage that is reported."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Kind = Literal["role", "reasoning", "text", "refusal", "tool", "end"]
_PLAN = re.compile(rb"plan:([A-Za-z0-9_=-]+)")
TOOL = "look_up"


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to be told `due_s` seconds after the request has arrived."""

    due_s: float
    kind: Kind
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Travels inside the prompt, so that any client can carry it. `key` finds what was done and makes the ids.

    Delays are seconds from the arrival of the request: `role_s` until the chunk that has nothing in it, the others until
    the first chunk of their kind; `chunk_s` lies between two of a kind. Tokens: cached and written ones are part of
    `input_tokens`, reasoning of `output_tokens`; each dialect tells them in its provider's way.
    `hangs_s`: wait before the head; `breaks_after`: cut the connection after so many writes of a stream.
    """

    key: str
    role_s: float = 0.0
    reasoning_s: float = 0.0
    text_s: float = 0.0
    tools_s: float = 0.0
    chunk_s: float = 0.0
    reasoning_chunks: int = 0
    text_chunks: int = 4
    tool_chunks: int = 0
    input_tokens: int = 1_000
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 50
    reasoning_tokens: int = 0
    refuses: bool = False
    filtered: bool = False
    hangs_s: float = 0.0
    breaks_after: int | None = None
    status: int = 200
    error_type: str = "server_error"

    @property
    def prompt(self) -> str:
        """The plan as a prompt."""
        told = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}
        return "plan:" + base64.urlsafe_b64encode(json.dumps(told).encode()).decode()

    def pieces(self) -> Iterator[Piece]:
        """The stream, in order."""
        yield Piece(self.role_s, "role")
        due = self.role_s
        for kind, start_s, chunks in (
            ("reasoning", self.reasoning_s, self.reasoning_chunks),
            ("refusal" if self.refuses else "text", self.text_s, self.text_chunks),
            ("tool", self.tools_s, self.tool_chunks),
        ):
            for number in range(chunks):
                due = max(due, start_s + number * self.chunk_s)
                yield Piece(due, kind, f"{kind} {number} ")  # type: ignore[arg-type]
        yield Piece(due, "end")

    def text(self, kind: Kind) -> str:
        """All text of one kind."""
        return "".join(piece.text for piece in self.pieces() if piece.kind == kind)

    @property
    def lasts_s(self) -> float:
        """When the last piece is due."""
        return max(piece.due_s for piece in self.pieces())


@dataclass(frozen=True, slots=True)
class Event:
    """What is written at one moment. `token`: something of the answer is in it."""

    due_s: float
    data: bytes
    token: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a dialect is told: the path with its query, the body, the plan in it."""

    path: str
    body: dict[str, Any]
    plan: Plan


@dataclass(frozen=True, slots=True)
class Dialect:
    """One provider's way to answer POST requests to paths that match `path`.

    `reports`: the kinds of tokens that a stream and a whole answer can tell; `omits`: those it leaves out at zero.
    """

    name: str
    path: re.Pattern[str]
    media: str
    streamed: Callable[[Request], bool]
    stream: Callable[[Request], Iterator[Event]]
    whole: Callable[[Request], dict[str, Any]]
    error: Callable[[Plan], dict[str, Any]]
    reports: tuple[str, ...]
    omits: tuple[str, ...] = ()

    def usage(self, plan: Plan) -> dict[str, int | None]:
        """The truth: tokens by the name of their column."""
        kinds = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
        told = {kind: asdict(plan)[kind] if kind in self.reports else None for kind in kinds}
        return {kind: None if tokens == 0 and kind in self.omits else tokens for kind, tokens in told.items()}


def plan_in(body: bytes) -> Plan | None:
    """The plan that a request carries."""
    found = _PLAN.search(body)
    return Plan(**json.loads(base64.urlsafe_b64decode(found[1]))) if found else None


def sse(data: object, event: str | None = None, end: str = "\n") -> bytes:
    """A server-sent event."""
    head = f"event: {event}{end}" if event else ""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"{head}data: {text}{end}{end}".encode()


def arguments(text: str) -> str:
    """A piece of a tool call's arguments."""
    return json.dumps({"q": text})
