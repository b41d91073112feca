"""IBM watsonx.ai text generation; its chat speaks OpenAI's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part, parts

_STREAMS: Final = ("/generation_stream", "/generation/text_stream")
_GOING_ON: Final = "not_finished"


class WatsonxGeneration:
    """`POST /ml/v1/text/generation`, `/generation_stream`. Source: https://cloud.ibm.com/apidocs/watsonx-ai."""

    name = "watsonx.generation"
    operation = "text_completion"
    provider: str | None = "watsonx"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - the path says it all
        return "/ml/v1" in path and path.endswith(("/text/generation", "/generation/text", *_STREAMS))

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        return Asked(
            model=name(request.get("model_id")),
            streamed=path.endswith("_stream"),
            max_output_tokens=count(part(request, "parameters"), "max_new_tokens"),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return reader(headers, asked, stream=lambda: (Splitter(), Events()), read_body=read_generation)


class Events:
    """The events of a stream: the input is counted in the first, the output so far in each."""

    def is_token(self, event: bytes) -> bool:  # noqa: ARG002 - each is parsed
        return False

    def read(self, event: bytes, answer: Answer) -> Seen:
        told = document(data_of(event))
        if not told:
            return NOTHING
        read_generation(told, answer)
        return TOKEN if any(result.get("generated_text") for result in parts(told, "results")) else CHUNK

    def settle(self, answer: Answer) -> None:
        if not answer.complete:
            answer.usage = None


def read_generation(body: dict[str, Any], answer: Answer) -> None:
    """Take in a whole answer, or one event of a stream."""
    read_error(body, answer)
    if parts(body, "errors"):
        answer.error_type = identifier(parts(body, "errors")[0].get("code")) or "unnamed"
    answer.model = answer.model or name(body.get("model_id"))
    for result in parts(body, "results"):
        before = answer.usage or Usage()
        read, written = count(result, "input_token_count"), count(result, "generated_token_count")
        if read is not None or written is not None:
            answer.usage = Usage(
                input_tokens=max(read or 0, before.input_tokens or 0),
                output_tokens=max(written or 0, before.output_tokens or 0),
            )
        reason = identifier(result.get("stop_reason"))
        if reason and reason != _GOING_ON:
            answer.finish_reason, answer.complete = reason, True
