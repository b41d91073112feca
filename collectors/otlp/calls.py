"""Which spans and events are model calls: agents, chains and tools are none, though they may repeat what calls used."""

from __future__ import annotations

from collectors.llm.clean import identifier
from collectors.otlp.conventions import INFERENCE_EVENT
from collectors.otlp.item import Attributes, Item

CHAT, EMBEDDINGS = "chat", "embeddings"
_LITELLM = "litellm"  # the name of its scope
_RAW_REQUEST = "raw_gen_ai_request"  # LiteLLM's copy of what went over the wire, below the span of the call

# As instrumentations spell `gen_ai.operation.name` and `llm.request.type`, and as the column `operation` does.
_CALLS = {
    "chat": CHAT,
    "completion": CHAT,  # LiteLLM's name of a chat; OpenLLMetry's of a text completion is told apart below
    "acompletion": CHAT,
    "responses": CHAT,
    "aresponses": CHAT,
    "message": CHAT,
    "messages": CHAT,
    "anthropic_messages": CHAT,
    "text_completion": "text_completion",
    "atext_completion": "text_completion",
    "generate_content": "generate_content",
    "agenerate_content": "generate_content",
    "embeddings": EMBEDDINGS,
    "embedding": EMBEDDINGS,
    "aembedding": EMBEDDINGS,
    "rerank": "rerank",
}
_NO_CALLS = frozenset(
    {
        "create_agent",
        "invoke_agent",
        "execute_tool",
        "invoke_workflow",
        "retrieval",
        "agent",
        "workflow",
        "task",
        "tool",
    }
)
_VERCEL = {"doGenerate": CHAT, "doStream": CHAT, "doEmbed": EMBEDDINGS}
_OPENINFERENCE = {"LLM": CHAT, "EMBEDDING": EMBEDDINGS}
_TRACELOOP_PARTS = ("workflow", "task", "agent", "tool")


def operation(item: Item) -> str | None:
    """What a model was called for, as the column `operation` names it; None where `item` is no model call.

    >>> operation(Item("chat", "", "", "", 0, 0, False, {"operation": "chat"}))
    'chat'
    >>> operation(Item("agent", "", "", "", 0, 0, False, {"operation": "invoke_agent"})) is None
    True
    """
    if not item.attributes or item.name == _RAW_REQUEST:
        return None
    return _of_event(item) if item.event else _of_span(item)


def _of_event(item: Item) -> str | None:
    told = item.name or item.attributes.get("event_name")
    if told != INFERENCE_EVENT or not ("response_id" in item.attributes or item.span_id):
        return None  # without an id nobody can tell whether its span has come as well
    return _named(item) or CHAT


def _of_span(item: Item) -> str | None:
    attributes = item.attributes
    if isinstance(kind := attributes.get("openinference_kind"), str):
        return _OPENINFERENCE.get(kind.upper())
    if isinstance(step := attributes.get("vercel_operation"), str):
        return _VERCEL.get(step.rpartition(".")[2])
    if attributes.get("traceloop_kind") in _TRACELOOP_PARTS:
        return None
    named = _named(item)
    if named is None and _looks_like_a_call(attributes):
        return CHAT
    return named or None


def _named(item: Item) -> str | None:
    """The operation that the attributes name; empty where it is no call, None where there is no name to go by."""
    told = item.attributes.get("operation")
    if not isinstance(told, str):
        return None
    told = told.lower()
    if told == "completion" and item.scope != _LITELLM:
        return "text_completion"
    if told in _CALLS:
        return _CALLS[told]
    if told in _NO_CALLS:
        return ""
    return (identifier(told) or CHAT) if _looks_like_a_call(item.attributes) else ""


def _looks_like_a_call(attributes: Attributes) -> bool:
    """A model, and what one answers with: tokens or an id."""
    return ("model" in attributes or "response_model" in attributes) and (
        "input_tokens" in attributes or "response_id" in attributes
    )
