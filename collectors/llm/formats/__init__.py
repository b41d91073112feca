"""How each provider's requests and responses are read, one format a file."""

from __future__ import annotations

from collectors.llm.formats.anthropic import Messages
from collectors.llm.formats.assistants import Runs
from collectors.llm.formats.base import Format
from collectors.llm.formats.bedrock import Converse, Invoke
from collectors.llm.formats.cohere import CohereV1, CohereV2
from collectors.llm.formats.embeddings import (
    BedrockEmbeddings,
    CohereEmbeddings,
    GoogleEmbeddings,
    OllamaEmbeddings,
    OpenAIEmbeddings,
)
from collectors.llm.formats.google import GenerateContent
from collectors.llm.formats.ollama import OllamaChat, OllamaGenerate
from collectors.llm.formats.openai import ChatCompletions, TextCompletions
from collectors.llm.formats.responses import Responses
from collectors.llm.formats.watsonx import WatsonxGeneration

# The first that matches is taken: an embedding model on Bedrock is invoked like any other.
FORMATS: tuple[Format, ...] = (
    ChatCompletions(),
    TextCompletions(),
    Responses(),
    Messages(),
    GenerateContent(),
    Converse(),
    BedrockEmbeddings(),
    Invoke(),
    CohereV2(),
    CohereV1(),
    OllamaChat(),
    OllamaGenerate(),
    OpenAIEmbeddings(),
    GoogleEmbeddings(),
    CohereEmbeddings(),
    OllamaEmbeddings(),
    Runs(),
    WatsonxGeneration(),
)


def find(host: str, path: str) -> Format | None:
    """The format that a POST to this address is in; None for what is no LLM call.

    `host`: without its port; `path`: without the query.

    >>> find("api.openai.com", "/v1/chat/completions").name
    'openai.chat'
    >>> find("example.org", "/login")
    """
    for form in FORMATS:
        if form.matches(host, path):
            return form
    return None
