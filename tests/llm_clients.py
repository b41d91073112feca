"""Every way in which the providers' own clients make a call: each API, sync and async, streamed and not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing, closing
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from tests.dialects.plan import Dialect
from tests.llm_server import DIALECTS

OPENAI_MODEL = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
GEMINI = "gemini-2.5-flash"
COMMAND = "command-r-plus-08-2024"
MISTRAL = "mistral-small-latest"
BEDROCK_CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
LLAMA = "llama3.2"


@dataclass(frozen=True, slots=True)
class Api:
    """One API of one client.

    `make` and `make_async` open a client for the URL of a server; `ask` and `ask_async` put a prompt to it and give what
    it answers piece by piece, one piece where it is not streamed, each as the client's own object.
    """

    client: str
    dialect: str
    make: Callable[[str], AbstractContextManager[Any]]
    ask: Callable[[Any, str, bool], Iterator[Any]]
    make_async: Callable[[str], AbstractAsyncContextManager[Any]] | None = None
    ask_async: Callable[[Any, str, bool], AsyncIterator[Any]] | None = None
    streams: bool = True

    def __str__(self) -> str:
        return f"{self.client} {self.dialect.partition('.')[2]}"

    @property
    def speaks(self) -> Dialect:
        """What the server answers."""
        return DIALECTS[self.dialect]

    @property
    def version(self) -> str:
        """Of the client that is installed."""
        return metadata.version(self.client)


def plain(piece: Any) -> Any:
    """A piece as plain values, to be compared."""
    if hasattr(piece, "model_dump"):
        return piece.model_dump(mode="json", warnings=False)
    return piece


def _messages(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt}]


def _openai(url: str) -> AbstractContextManager[Any]:
    import openai

    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def _openai_async(url: str) -> AbstractAsyncContextManager[Any]:
    import openai

    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


_OPENAI: dict[str, tuple[Callable[[Any], Any], Callable[[str], dict[str, Any]]]] = {
    "chat": (lambda api: api.chat.completions, lambda prompt: {"messages": _messages(prompt)}),
    "responses": (lambda api: api.responses, lambda prompt: {"input": prompt}),
    "completions": (lambda api: api.completions, lambda prompt: {"prompt": prompt}),
    "embeddings": (lambda api: api.embeddings, lambda prompt: {"input": prompt, "encoding_format": "float"}),
}


def _openai_api(kind: str) -> Api:
    resource, arguments = _OPENAI[kind]
    streams = kind != "embeddings"

    def ask(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
        options = {"stream": streamed} if streams else {}
        answer = resource(api).create(model=OPENAI_MODEL, **arguments(prompt), **options)
        if streamed:
            with answer:
                yield from answer
        else:
            yield answer

    async def ask_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
        options = {"stream": streamed} if streams else {}
        answer = await resource(api).create(model=OPENAI_MODEL, **arguments(prompt), **options)
        if streamed:
            async with answer:
                async for chunk in answer:
                    yield chunk
        else:
            yield answer

    return Api("openai", f"openai.{kind}", _openai, ask, _openai_async, ask_async, streams)


def _anthropic(url: str) -> AbstractContextManager[Any]:
    import anthropic

    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)


def _anthropic_async(url: str) -> AbstractAsyncContextManager[Any]:
    import anthropic

    return anthropic.AsyncAnthropic(base_url=url, api_key="none", max_retries=0)


def _ask_anthropic(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    answer = api.messages.create(model=CLAUDE, max_tokens=100, messages=_messages(prompt), stream=streamed)
    if streamed:
        with answer:
            yield from answer
    else:
        yield answer


async def _ask_anthropic_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
    answer = await api.messages.create(model=CLAUDE, max_tokens=100, messages=_messages(prompt), stream=streamed)
    if streamed:
        async with answer:
            async for chunk in answer:
                yield chunk
    else:
        yield answer


def _gemini(url: str) -> AbstractContextManager[Any]:
    from google import genai

    return genai.Client(api_key="none", http_options={"base_url": url})


class _GeminiAsync:
    """Its asynchronous part, closed with the whole client."""

    def __init__(self, url: str) -> None:
        self._client: Any = _gemini(url)

    async def __aenter__(self) -> Any:
        return self._client.aio

    async def __aexit__(self, *ending: object) -> None:
        await self._client.aio.aclose()
        self._client.close()


def _ask_gemini(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    if streamed:
        yield from api.models.generate_content_stream(model=GEMINI, contents=prompt)
    else:
        yield api.models.generate_content(model=GEMINI, contents=prompt)


async def _ask_gemini_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
    if streamed:
        async for chunk in await api.models.generate_content_stream(model=GEMINI, contents=prompt):
            yield chunk
    else:
        yield await api.models.generate_content(model=GEMINI, contents=prompt)


def _cohere(url: str) -> AbstractContextManager[Any]:
    import cohere

    return cohere.ClientV2(api_key="none", base_url=url, max_retries=0)


def _cohere_async(url: str) -> AbstractAsyncContextManager[Any]:
    import cohere

    return cohere.AsyncClientV2(api_key="none", base_url=url, max_retries=0)


def _ask_cohere(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    if streamed:
        yield from api.chat_stream(model=COMMAND, messages=_messages(prompt))
    else:
        yield api.chat(model=COMMAND, messages=_messages(prompt))


async def _ask_cohere_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
    if streamed:
        async for chunk in api.chat_stream(model=COMMAND, messages=_messages(prompt)):
            yield chunk
    else:
        yield await api.chat(model=COMMAND, messages=_messages(prompt))


def _mistral(url: str) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key="none", server_url=f"{url}/mistral")


def _ask_mistral(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    if streamed:
        with api.chat.stream(model=MISTRAL, messages=_messages(prompt)) as answer:
            for event in answer:
                yield event.data
    else:
        yield api.chat.complete(model=MISTRAL, messages=_messages(prompt))


async def _ask_mistral_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
    if streamed:
        async with await api.chat.stream_async(model=MISTRAL, messages=_messages(prompt)) as answer:
            async for event in answer:
                yield event.data
    else:
        yield await api.chat.complete_async(model=MISTRAL, messages=_messages(prompt))


def _bedrock(url: str) -> AbstractContextManager[Any]:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"max_attempts": 0}, max_pool_connections=50),
    )
    return closing(client)


def _converse(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    asked = {"modelId": BEDROCK_CLAUDE, "messages": [{"role": "user", "content": [{"text": prompt}]}]}
    if streamed:
        with closing(api.converse_stream(**asked)["stream"]) as answer:
            yield from answer
    else:
        answer = api.converse(**asked)
        yield {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _invoke(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": _messages(prompt)}
    asked = {"modelId": BEDROCK_CLAUDE, "body": json.dumps(body)}
    if streamed:
        with closing(api.invoke_model_with_response_stream(**asked)["body"]) as answer:
            for event in answer:
                yield json.loads(event["chunk"]["bytes"])
    else:
        yield json.loads(api.invoke_model(**asked)["body"].read())


def _ollama(url: str) -> AbstractContextManager[Any]:
    import ollama

    return ollama.Client(host=url)


def _ollama_async(url: str) -> AbstractAsyncContextManager[Any]:
    import ollama

    return ollama.AsyncClient(host=url)


def _ask_ollama(api: Any, prompt: str, streamed: bool) -> Iterator[Any]:
    answer = api.chat(model=LLAMA, messages=_messages(prompt), stream=streamed)
    if streamed:
        yield from answer
    else:
        yield answer


async def _ask_ollama_async(api: Any, prompt: str, streamed: bool) -> AsyncIterator[Any]:
    answer = await api.chat(model=LLAMA, messages=_messages(prompt), stream=streamed)
    if streamed:
        async with aclosing(answer):
            async for chunk in answer:
                yield chunk
    else:
        yield answer


APIS = (
    *(_openai_api(kind) for kind in _OPENAI),
    Api("anthropic", "anthropic.messages", _anthropic, _ask_anthropic, _anthropic_async, _ask_anthropic_async),
    Api("google-genai", "google.generate", _gemini, _ask_gemini, _GeminiAsync, _ask_gemini_async),
    Api("cohere", "cohere.chat", _cohere, _ask_cohere, _cohere_async, _ask_cohere_async),
    Api("mistralai", "mistral.chat", _mistral, _ask_mistral, _mistral, _ask_mistral_async),
    Api("boto3", "bedrock.converse", _bedrock, _converse),
    Api("boto3", "bedrock.invoke", _bedrock, _invoke),
    Api("ollama", "ollama.chat", _ollama, _ask_ollama, _ollama_async, _ask_ollama_async),
)
