"""Lowers how many tokens a request lets the model generate."""

from __future__ import annotations

import json
from typing import Any, Final

# By the family of the format: where the ceiling can stand, and where it is put if it stands nowhere.
_PLACES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "anthropic": (("max_tokens",),),
    "bedrock.converse": (("inferenceConfig", "maxTokens"),),
    "cohere": (("max_tokens",),),
    "google": (("generationConfig", "maxOutputTokens"), ("generation_config", "max_output_tokens")),
    "ollama": (("options", "num_predict"),),
    "openai.chat": (("max_tokens",), ("max_completion_tokens",)),
    "openai.completions": (("max_tokens",),),
    "openai.responses": (("max_output_tokens",),),
    "openai.runs": (("max_completion_tokens",),),
    "watsonx": (("parameters", "max_new_tokens"),),
}
_NEWER: Final = frozenset({"openai", "azure"})  # their newer models know max_completion_tokens alone


def lowered(body: bytes, form: str, provider: str, most: int) -> bytes | None:
    """The same request with a ceiling of `most` tokens; None where it need not or cannot be changed.

    Args:
        body: the request.
        form: the name of its format, such as `openai.chat`.
        provider: whom it goes to.
        most: output tokens.

    >>> lowered(b'{"model": "m", "max_tokens": 100}', "anthropic.messages", "anthropic", 10)
    b'{"model": "m", "max_tokens": 10}'
    >>> lowered(b'{"model": "m"}', "openai.chat", "openai", 10)
    b'{"model": "m", "max_completion_tokens": 10}'
    """
    places = next((places for name, places in _PLACES.items() if form.startswith(name)), ())
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not places or not isinstance(request, dict):
        return None
    there = [place for place in places if _get(request, place) is not None]
    default = places[-1] if provider in _NEWER else places[0]
    if there and all(_low(_get(request, place), most) for place in there):
        return None
    for place in there or [default]:
        if not _low(_get(request, place), most):
            _put(request, place, most)
    try:
        return json.dumps(request, allow_nan=False).encode()
    except ValueError:  # 1e999 came in as infinity, and would go out as no JSON
        return None


def _low(value: object, most: int) -> bool:
    return isinstance(value, int) and 0 <= value <= most  # Ollama's -1 is no ceiling


def _get(request: dict[str, Any], place: tuple[str, ...]) -> object:
    value: object = request
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _put(request: dict[str, Any], place: tuple[str, ...], value: int) -> None:
    *path, last = place
    inner = request
    for key in path:
        found = inner.get(key)
        inner[key] = found if isinstance(found, dict) else {}
        inner = inner[key]
    inner[last] = value
