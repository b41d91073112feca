"""OpenAI's Assistants: runs of a thread, which many servers never had and OpenAI is retiring."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Answer, Asked, Reader
from collectors.llm.formats.chunks import read_usage
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part

_PATH: Final = re.compile(r"/threads/(?:runs|[^/]+/runs(?:/[^/]+/submit_tool_outputs)?)$")
_ENDS: Final = frozenset({"completed", "incomplete", "requires_action", "failed", "cancelled", "expired"})


class Runs:
    """`POST .../threads/THREAD/runs`. Source: https://platform.openai.com/docs/api-reference/runs."""

    name = "openai.runs"
    operation = "chat"
    provider: str | None = None

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - spoken on any host
        return _PATH.search(path) is not None

    def asked(self, path: str, body: bytes) -> Asked:  # noqa: ARG002
        request = document(body)
        return Asked(
            model=name(request.get("model")),
            streamed=request.get("stream") is True,
            max_output_tokens=count(request, "max_completion_tokens"),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return reader(headers, asked, stream=lambda: (Splitter(), Events()), read_body=read_run)


class Events:
    """The events of a stream: of the run, of its steps, of the messages that it writes."""

    def is_token(self, event: bytes) -> bool:  # noqa: ARG002 - each is parsed
        return False

    def read(self, event: bytes, answer: Answer) -> Seen:
        data = data_of(event)
        if data.startswith(b"[DONE]"):
            answer.complete = True
            return NOTHING
        told = document(data)
        if not told:
            return NOTHING
        if told.get("object") in ("thread.message.delta", "thread.run.step.delta"):
            delta = part(told, "delta")
            return TOKEN if delta.get("content") or delta.get("step_details") else CHUNK
        read_run(told, answer)
        return CHUNK

    def settle(self, answer: Answer) -> None:
        """Usage comes once, at the end."""


def read_run(run: dict[str, Any], answer: Answer) -> None:
    """Take in a run as far as it has come; one that was not streamed is still waiting, and its usage is not told."""
    if run.get("object") != "thread.run":
        read_error(run, answer)
        return
    answer.response_id = name(run.get("id"))
    answer.model = name(run.get("model")) or answer.model
    status = identifier(run.get("status"))
    if status in _ENDS:
        answer.complete = True
        answer.finish_reason = identifier(part(run, "incomplete_details").get("reason")) or status
    if status == "failed":
        answer.error_type = identifier(part(run, "last_error").get("code")) or "unnamed"
    answer.usage = read_usage(part(run, "usage")) or answer.usage
